// placeholder: the Verification layer
