"""What the chapters share: the data, the ConvNet, and the tools they look at it with."""
