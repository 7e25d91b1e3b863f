"""The native kernel of generation: C++ source, its build, and its use with numpy alone. No torch anywhere."""
