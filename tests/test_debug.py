"""Debug levels: what the engine remembers and watches, and that its errors lead to the line that caused them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinyunet
from tinyunet import GraphError, NonFiniteError, Tensor
from tinyunet import functional as F


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


def here() -> str:
    """Return "this file:line of the caller", as debug level 1 should name it."""
    frame = sys._getframe(1)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def test_level_0_says_how_to_learn_more():
    y = (leaf(1.0) * 2).sum()
    y.backward()
    with pytest.raises(GraphError, match=r"Sum \(see where with tinyunet\.debug\(1\)\)"):
        y.backward()


def test_level_1_names_the_line_that_called():
    a = leaf(1.0, 2.0)
    with tinyunet.debug(1):
        product, line = a * a, here()
        total, other_line = F.relu(product).sum(), here()
    assert product.creator.created_at == line
    assert total.creator.created_at == other_line
    total.backward()
    with pytest.raises(GraphError) as error:
        total.backward()
    assert other_line in str(error.value)


def test_level_1_takes_a_neighbour_of_the_package_for_a_caller():
    """A script in a folder whose name begins like the package's is not part of it."""
    neighbour = tinyunet.__file__.replace("__init__.py", "").rstrip("/\\") + "_lessons.py"
    code = compile("y = a * a", neighbour, "exec")
    scope = {"a": leaf(1.0)}
    with tinyunet.debug(1):
        exec(code, scope)
    assert scope["y"].creator.created_at == f"{neighbour}:1"


def test_level_2_names_the_op_that_makes_a_nan():
    a = leaf(0.0, 1.0)
    with np.errstate(all="ignore"), tinyunet.debug(2):
        with pytest.raises(NonFiniteError) as error:
            _ = (line := here()), a / a
        assert f"result of Divide (created at {line}) holds 1 NaN and 0 infinite values among 2" in str(error.value)
        with pytest.raises(NonFiniteError, match="result of Log .* holds 0 NaN and 1 infinite"):
            F.log(a)


def test_level_2_names_the_op_whose_gradient_is_infinite():
    a = leaf(0.0, 1.0)
    with np.errstate(all="ignore"), tinyunet.debug(2):
        root, line = a**0.5, here()
        with pytest.raises(NonFiniteError) as error:
            root.sum().backward()
    assert f"gradient 0 of Power (created at {line}) holds 0 NaN and 1 infinite values among 2" in str(error.value)


def test_below_level_2_nan_passes():
    with np.errstate(all="ignore"), tinyunet.debug(1):
        assert np.isnan((leaf(0.0) / leaf(0.0)).data).all()


def test_level_0_remembers_no_lines():
    assert (leaf(1.0) * 2).creator.created_at == ""
