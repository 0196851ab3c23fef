// placeholder: the Footprint layer
