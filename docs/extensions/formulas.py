"""From the plain-text formulas of the docstrings to LaTeX.

A formula in a docstring is an indented block that reads well in a terminal:

    gx[n,c,p,q] = sum_{o,u,v} gy[n,o,i,j] w[o,c,u,v]     over the (i,j,u,v) that reach (p,q)     (2)

`translate` turns it into rows of LaTeX with their numbers. Indices in brackets become subscripts, a quotient of
products becomes a fraction, words stay words. A block in which anything is not understood is left alone (None), and
the page shows it as it stands: a formula is never half translated. No Sphinx is needed here.
"""

from __future__ import annotations

import re
import textwrap
from typing import NamedTuple

FUNCTIONS = ("sigmoid", "softmax", "clip", "ones", "flip")
QUANTITIES = "bias entropy high loss low lr mean momentum norm padding rstd running scale std stride var weight".split()
SYMBOLS = {
    **{name: rf"\{name}" for name in ("exp", "log", "ln", "max", "min", "sin", "cos")},
    **{name: rf"\operatorname{{{name}}}" for name in FUNCTIONS},
    **{name: rf"\text{{{name}}}" for name in QUANTITIES},
    "eps": r"\varepsilon",
    **{name: rf"\{name}" for name in ("alpha", "beta", "gamma", "sigma")},
    "xhat": r"\hat{x}",
}
SIGNS = {"<-": r"\leftarrow", "<=": r"\le", ">=": r"\ge", "*": r"\ast", "...": r"\ldots", ";": ";", ":": ":"}

TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<word>[A-Za-z]+'s\b | [A-Z][a-z]{2,})
    | (?P<name>[A-Za-z]+(?:_[A-Za-z]\w+(?![\w{]))*)
    | (?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)
    | (?P<sign><-|<=|>=|\.\.\.|[-+*/=<>,.;:^_'|()\[\]{}])
    """,
    re.VERBOSE,
)


class Row(NamedTuple):
    """One equation: its parts, which may be broken apart on a narrow page, and its number ("" for none)."""

    parts: list[str]
    number: str


class NotAFormula(ValueError):
    """The text is something else, or a formula of a form that is not known here."""


def translate(block: str) -> list[Row] | None:
    """Return the equations of an indented block of a docstring, or None if it is not understood."""
    lines = [line for line in textwrap.dedent(block).splitlines() if line.strip()]
    rows: list[tuple[list[str], str]] = []
    for line in lines:
        text, number = re.fullmatch(r"(.*?)(?:\s{2,}\((\d+)\))?\s*", line).groups()
        if line[0] == " " and rows and not rows[-1][1]:  # goes on with the equation above
            *before, last = rows[-1][0]
            parts = _split(text)
            if not last.endswith(","):
                last, *parts = f"{last} {parts[0]}", *parts[1:]
            rows[-1] = ([*before, last, *parts], number or "")
        else:
            rows.append((_split(text), number or ""))
    if not any(" = " in part or "<-" in part for parts, _ in rows for part in parts):
        return None
    try:
        return [Row([_Parser(part).whole() for part in parts], number) for parts, number in rows]
    except NotAFormula:
        return None


def _split(line: str) -> list[str]:
    """Cut a line where three or more blanks set off a remark; blanks that align the equality signs mean nothing."""
    line = re.sub(r"\s+(=|<-)\s+", r" \1 ", line.strip())
    return re.split(r"\s{3,}", line)


class _Token(NamedTuple):
    kind: str
    text: str
    glued: bool
    """No blank before it."""


def _tokens(text: str) -> list[_Token]:
    found, at, glued = [], 0, False
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise NotAFormula(text[at:])
        if match.lastgroup != "space":
            found.append(_Token(match.lastgroup, match[0], glued))
        glued, at = match.lastgroup != "space", match.end()
    return found


class _Parser:
    """Reads one part of an equation from left to right; `product` collects the factors that a "/" would divide."""

    CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}

    def __init__(self, text: str):
        self.tokens, self.at, self.in_index = _tokens(text), 0, False

    def whole(self) -> str:
        latex = self.expression("")
        if self.at < len(self.tokens):
            raise NotAFormula(self.peek())
        return latex

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def glued(self) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at].glued

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, text: str) -> None:
        if self.peek() != text:
            raise NotAFormula(f"{text!r} is missing")
        self.take()

    def expression(self, closing: str) -> str:
        """Read up to the closing bracket (which stays) or the end."""
        done, product, words, sign = [], [], [], ""

        def flush():
            nonlocal sign
            if product:
                latex = r"\,".join(product)
                done.append(f"{{{sign}{latex}}}" if sign else latex)
            if words:
                before, after = " " if done else "", " " if self.peek() not in (",", ".", ";", ":", ")", "") else ""
                done.append(rf"\text{{{before}{' '.join(words)}{after}}}")
            product.clear()
            words.clear()
            sign = ""

        while self.at < len(self.tokens) and self.peek() != closing:
            if self.is_word(after_words=bool(words)):
                if closing in "]}" and closing:
                    raise NotAFormula("words in an index")
                if product:
                    flush()
                words.append(self.take().text)
                continue
            if words:
                flush()
            token = self.tokens[self.at]
            if token.text == "/":
                whole = not self.take().glued  # a b / c divides the product, a b/c only b
                if not product:
                    raise NotAFormula("nothing before /")
                above = product[:] if whole else product[-1:]
                del product[-len(above) :]
                product.append(self.fraction(above))
            elif token.text == "-" and not product and (not done or done[-1] in (",", "=")):
                sign = self.take().text  # of a number, not between two
            elif self.is_operator():
                flush()
                done.append(SIGNS.get(token.text, token.text))
                self.take()
            else:
                product.append(self.factor())
        flush()
        return " ".join(done)

    def is_word(self, after_words: bool) -> bool:
        """Tell text from mathematics: unknown names of several letters, unless an arithmetic sign stands beside."""
        token, after = self.tokens[self.at], self.peek(1)
        if token.kind == "word" or (after_words and token.text == "a" and after.isalpha()):
            return True
        if token.kind != "name" or len(token.text) == 1 or "_" in token.text:
            return False
        if token.text in FUNCTIONS:
            return after not in ("(", "_")
        if after_words and token.text in QUANTITIES:
            return True
        if token.text in ("sum", "mean", "max", "min", "entropy"):
            if after in ("of", "over"):
                return True
        if token.text in SYMBOLS or re.fullmatch(r"d?[A-Z]{1,3}|d[a-z]|g[a-z]|gweight|gbias|sqrt|floor", token.text):
            return False
        beside = {after, self.peek(-1)}
        if any(len(text) > 1 and text.isalpha() and text.islower() and text not in SYMBOLS for text in beside):
            return True
        called = after in ("(", "[", "_", "'", "^") and self.tokens[self.at + 1].glued
        return not (called or beside & set("+-*/"))

    def is_operator(self) -> bool:
        text = self.peek()
        if text == "<":  # <A x, y> is a scalar product, a < b is not
            return not (self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].glued)
        if text == ">":
            return not self.glued()
        return text in ("+", "-", "=", ",", ".", ";", ":", "*", "<-", "<=", ">=", "...")

    def fraction(self, numerator: list[str]) -> str:
        below = self.factor()
        while self.peek() and not self.is_operator() and below.startswith(r"\sum") and not self.is_word(False):
            below += r"\," + self.factor()
        if self.in_index:  # too small for a bar
            return r"\,".join(numerator) + f" / {below}"
        chain = re.fullmatch(r"\\frac\{(.*)\}\{(.*)\}", numerator[-1]) if len(numerator) == 1 else None
        if chain and self.balanced(chain[1]) and self.balanced(chain[2]):  # a / b / c = a / (b c)
            return rf"\frac{{{chain[1]}}}{{({chain[2]})\,{below}}}"
        above = self.bare(numerator[0]) if len(numerator) == 1 else r"\,".join(numerator)
        return rf"\frac{{{above}}}{{{self.bare(below)}}}"

    @staticmethod
    def balanced(latex: str) -> bool:
        depth = 0
        for sign in latex:
            depth += (sign == "{") - (sign == "}")
            if depth < 0:
                return False
        return depth == 0

    @staticmethod
    def bare(latex: str) -> str:
        """Drop brackets that enclose the whole, which a fraction's bar makes needless."""
        inside = re.fullmatch(r"\\left\((.*)\\right\)|\((.*)\)", latex)
        if not inside:
            return latex
        inside, depth = inside[1] or inside[2], 0
        for sign in inside:
            depth += (sign == "(") - (sign == ")")
            if depth < 0:
                return latex
        return inside

    def factor(self) -> str:
        if self.at >= len(self.tokens):
            raise NotAFormula("something is missing at the end")
        token = self.take()
        if token.kind == "number":
            if self.at < len(self.tokens) and self.tokens[self.at].kind == "number":
                raise NotAFormula("a table of numbers")
            digits, _, power = token.text.partition("e")
            base = f"{digits}\\cdot 10^{{{power}}}" if power else digits
            base = base.removeprefix(r"1\cdot ")
        elif token.text == "x" and self.between_sizes():
            return r"\times"
        elif token.kind == "name":
            base = self.name(token.text)
        elif token.text in ("(", "[", "|"):
            base = self.bracket(token.text)
        elif token.text == "<":
            base = rf"\langle {self.expression('>')} \rangle"
            self.expect(">")
        else:
            raise NotAFormula(token.text)
        return self.attachments(base)

    def between_sizes(self) -> bool:
        """Tell the x of 3 x 3 and SH x SW from the image x."""
        before, after = self.peek(-2), self.peek()
        return all(side.isdigit() or (side.isupper() and len(side) < 3) for side in (before, after))

    def bracket(self, opening: str) -> str:
        closing = self.CLOSING[opening]
        inside = self.expression(closing)
        self.expect(closing)
        left, right = (r"\lvert ", r"\rvert") if opening == "|" else (opening, closing)
        tall = r"\frac" in inside or r"\sum" in inside
        return rf"\left{left}{inside}\right{right}" if tall and opening != "|" else f"{left}{inside}{right}"

    def name(self, text: str) -> str:
        if text == "sum":
            return r"\sum"
        if text in ("sqrt", "floor") and self.peek() == "(":
            self.take()
            inside = self.expression(")")
            self.expect(")")
            return rf"\sqrt{{{inside}}}" if text == "sqrt" else rf"\left\lfloor {inside} \right\rfloor"
        if text in SYMBOLS:
            return SYMBOLS[text]
        if "_" in text:
            return rf"\text{{{text}}}"
        return text if len(text) == 1 else rf"\mathit{{{text}}}"

    def attachments(self, base: str) -> str:
        """Read what hangs on a factor: x_k, beta1, x[n,c], f(x), i', x^2."""
        below, above = "", ""
        while self.glued():
            text = self.peek()
            if text == "[":
                self.take()
                outside, self.in_index = self.in_index, True
                below += ("," if below else "") + self.expression("]").replace(" , ", ",")
                self.in_index = outside
                self.expect("]")
            elif text == "_":
                self.take()
                below += self.subscript()
            elif text == "^":
                self.take()
                above += self.factor()
            elif text == "'":
                self.take()
                above += r"\prime"
            elif text == "(" and not above and not base[-1].isdigit():
                self.take()
                base = self.scripts(base, below, "") + self.bracket("(")
                below = ""
            elif self.tokens[self.at].kind == "number" and not below and not base[-1].isdigit():
                below = self.take().text  # beta1
            else:
                break
        return self.scripts(base, below, above)

    def subscript(self) -> str:
        if self.peek() == "{":
            self.take()
            inside = self.expression("}").replace(" , ", ",")
            self.expect("}")
            return inside
        token = self.take()
        if token.kind == "number" or (token.kind == "name" and len(token.text) == 1):
            return token.text
        raise NotAFormula(token.text)

    @staticmethod
    def scripts(base: str, below: str, above: str) -> str:
        return base + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
