// placeholder: the Conversion layer
