"""Independent PyTorch CPU reference of the DeepSeek-V4 forward pass, for golden vectors only."""
