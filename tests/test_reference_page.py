"""docs/reference.md says what the docstrings say, and every public name has one."""

from tests.reference_page import PAGE, page


def test_the_page_is_made_from_the_docstrings_of_today():
    text = page()
    assert PAGE.read_text() == text, "run python -m tests.reference_page"
    assert "None\n" not in text.replace("None.\n", "")
