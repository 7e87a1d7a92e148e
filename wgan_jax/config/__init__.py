"""Config files, their validation, and the objects built from them."""
