"""A whole HTML document around the HTML of one tool, which brings its own style."""

from html import escape


def document(title: str, body: str) -> str:
    """Return a document with a title, and nothing around the body but a margin."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n</head>\n"
        f'<body style="margin: 0; padding: 1rem; background: #fff">\n{body}\n</body>\n</html>\n'
    )
