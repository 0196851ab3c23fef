internal import Bytes
internal import Catalog

/// An image network, layer by layer: values that each layer puts out for one image, and its parameters.
public struct ConvolutionalNetwork: Sendable {
  public struct Layer: Hashable, Sendable {
    /// As the paper calls it: `conv3-64`.
    public let name: String
    /// Of the output: [height, width, channels], or [units].
    public let shape: [Int]
    public let weightCount: Int
    public let biasCount: Int
    /// With every factor: `(3 × 3 × 3) × 64`; empty where there are none.
    public let weightFormula: String

    /// Values for one image.
    public var activationCount: Int { shape.reduce(1, *) }
  }

  public let name: String
  public let summary: String
  /// What others got wrong about it.
  public let note: String
  /// The first is the input.
  public let layers: [Layer]

  public var weightCount: Int { layers.reduce(0) { $0 + $1.weightCount } }
  public var parameterCount: Int { layers.reduce(0) { $0 + $1.weightCount + $1.biasCount } }
  public var activationCount: Int { layers.reduce(0) { $0 + $1.activationCount } }

  public static func names() throws(FootprintError) -> [String] {
    var names: [String] = []
    for file in FormatFiles.all(in: "Networks/") {
      names.append(try ConvolutionalNetwork(parsing: file.bytes, file: "Formats/\(file.path)").name)
    }
    return names
  }

  /// The network under Formats/Networks of this name, or nil.
  public static func named(_ name: String) throws(FootprintError) -> ConvolutionalNetwork? {
    let wanted = name.lowercased().filter { $0.isLetter || $0.isNumber }
    for file in FormatFiles.all(in: "Networks/") {
      let network = try ConvolutionalNetwork(parsing: file.bytes, file: "Formats/\(file.path)")
      if network.name == wanted { return network }
    }
    return nil
  }

  private init(parsing bytes: [UInt8], file: String) throws(FootprintError) {
    guard let json = try? JSONValue.parse(bytes).object, let name = json["name"]?.string?.text,
      let input = json["input"]?.array?.compactMap(\.int), input.count == 3, let entries = json["layers"]?.array
    else { throw .invalidData(file: file, found: "no name, input or layers") }
    self.name = name
    summary = json["describes"]?.string?.text ?? ""
    note = json["note"]?.string?.text ?? ""
    var layers = [Layer(name: "input", shape: input, weightCount: 0, biasCount: 0, weightFormula: "")]
    var shape = input
    for entry in entries {
      let layerName = entry["name"]?.string?.text ?? ""
      switch (entry["kind"]?.string?.text, entry["size"]?.int, entry["channels"]?.int ?? entry["units"]?.int) {
      case ("convolution", let size?, let channels?) where shape.count == 3:
        // Padded, so that height and width stay.
        let weights = size * size * shape[2] * channels
        let formula = "(\(size) × \(size) × \(shape[2])) × \(channels)"
        shape = [shape[0], shape[1], channels]
        layers.append(
          Layer(name: layerName, shape: shape, weightCount: weights, biasCount: channels, weightFormula: formula))
      case ("pool", let size?, nil) where shape.count == 3:
        shape = [shape[0] / size, shape[1] / size, shape[2]]
        layers.append(Layer(name: layerName, shape: shape, weightCount: 0, biasCount: 0, weightFormula: ""))
      case ("dense", nil, let units?):
        let weights = shape.reduce(1, *) * units
        let formula = (shape + [units]).map { "\($0)" }.joined(separator: " × ")
        shape = [units]
        layers.append(
          Layer(name: layerName, shape: shape, weightCount: weights, biasCount: units, weightFormula: formula))
      default: throw .invalidData(file: file, found: "layer \(layerName)")
      }
    }
    self.layers = layers
  }

  /// F32 throughout. In training, every value has a gradient, and the optimizer its copies of the parameters.
  public func footprint(batch: Int, optimizer: TrainingRequest.Optimizer? = nil) throws(FootprintError) -> Footprint {
    guard (1...FootprintRequest.largestBatch).contains(batch) else {
      throw .outOfRange(what: "a batch of \(batch) images", unit: "images", range: 1...FootprintRequest.largestBatch)
    }
    let parameters = Formula("parameters", parameterCount) * Formula("F32 bytes", 4)
    let values = Formula("batch", batch) * Formula("values per image", activationCount) * Formula("F32 bytes", 4)
    var items = [
      try FootprintItem(.weights, "parameters F32", parameters), try FootprintItem(.compute, "activations", values),
    ]
    guard let optimizer else { return try Footprint(profile: name, context: 0, batch: batch, items: items) }
    items.append(try FootprintItem(.compute, "gradients of activations", values))
    items.append(try FootprintItem(.gradient, "gradients", parameters))
    switch optimizer {
    case .sgd: break
    case .momentum: items.append(try FootprintItem(.optimizer, "momentum", parameters))
    case .adam: items.append(try FootprintItem(.optimizer, "both moments", 2 * parameters))
    case .adam8bit, .adafactor:
      throw .unsupported(what: "the optimizer \(optimizer.rawValue) for \(name)", known: ["sgd", "momentum", "adam"])
    }
    return try Footprint(profile: "training", context: 0, batch: batch, items: items)
  }
}
