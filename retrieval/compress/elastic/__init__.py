"""One training, many sizes: nested widths and depths, and models cut from them."""
