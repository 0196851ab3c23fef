// placeholder: the Passes layer
