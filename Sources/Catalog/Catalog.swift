// placeholder: the Catalog layer
