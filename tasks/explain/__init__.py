"""What a frozen model looks at: of its output, of its input, of its layers, and each account checked."""
