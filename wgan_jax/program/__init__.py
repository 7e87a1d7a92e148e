"""The program: one module a mode, tying the library's rooms together."""
