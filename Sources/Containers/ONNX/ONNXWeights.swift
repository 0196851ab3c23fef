import Bytes
import IR
import SystemPackage

/// Turns the graph's constants into weights: decodes what the graph decodes, and gives back names that the exporter lost.
struct ONNXWeights {
  private let nodes: [ONNXNode]
  private let path: FilePath
  private var order: [ByteString] = []
  private var values: [ByteString: TensorRef] = [:]
  private var decodedCount = 0
  private var renamedCount = 0
  private let smallConstantCount: Int
  private let cache = PanelCache()

  init(_ parser: ONNXGraphParser, path: FilePath) {
    nodes = parser.nodes
    self.path = path
    smallConstantCount = parser.smallConstantCount
    order = parser.tensors.map(\.name)
    values = Dictionary(parser.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  var tensors: [TensorRef] { order.compactMap { values[$0] } }

  var notes: [String] {
    var notes: [String] = []
    if decodedCount > 0 { notes.append("\(decodedCount) quantized tensors decoded") }
    if renamedCount > 0 { notes.append("\(renamedCount) names recovered from the graph") }
    if smallConstantCount > 0 { notes.append("\(smallConstantCount) small constants of the graph left alone") }
    return notes
  }

  mutating func resolve() throws(ContainerError) {
    var casts: [ByteString: ByteString] = [:]
    var products: [Product] = []
    for node in nodes {
      switch node.operation {
      case "DequantizeLinear": try dequantize(node)
      case "Cast":
        if let input = node.inputs.first, let output = node.outputs.first, values[input]?.format.kind == .integer {
          casts[output] = input
        }
      case "Mul": try scaleCast(node, casts: casts)
      case "MatMulNBits": try unpackBlocks(node)
      case "MatMul", "Gemm":
        if node.inputs.count > 1, let output = node.outputs.first, values[node.inputs[1]] != nil {
          let isTransposed = node.operation == "MatMul" || node.integers["transB"] ?? 0 == 0
          products.append(
            Product(output: output, weight: node.inputs[1], isTransposed: isTransposed, node: node.name))
        }
      default: break
      }
    }
    try decodeByName()
    recoverNames(products)
  }

  // MARK: decoding

  /// x, scale[, zero point]; axis 1 unless said, blocks of `block_size` along it where scales are as many.
  private mutating func dequantize(_ node: ONNXNode) throws(ContainerError) {
    guard node.inputs.count >= 2, let output = node.outputs.first, let x = values[node.inputs[0]],
      let scale = values[node.inputs[1]]
    else { return }
    let zero = node.inputs.count > 2 ? values[node.inputs[2]] : nil
    try decode(
      x, scale: scale, zero: zero, axis: node.integers["axis"] ?? 1, block: node.integers["block_size"] ?? 0,
      name: Self.plainName(x.name) ?? Self.removing("_DequantizeLinear_Output", from: output) ?? output, also: output)
  }

  /// Cast(x) · scale, with scales that stretch over x as NumPy's do.
  private mutating func scaleCast(_ node: ONNXNode, casts: [ByteString: ByteString]) throws(ContainerError) {
    guard node.inputs.count == 2, let output = node.outputs.first else { return }
    for (first, second) in [(0, 1), (1, 0)] {
      guard let source = casts[node.inputs[first]], let x = values[source], let scale = values[node.inputs[second]],
        scale.format.kind == .float
      else { continue }
      let rank = x.shape.dimensions.count
      let scaleShape = [Int](repeating: 1, count: max(0, rank - scale.shape.dimensions.count)) + scale.shape.dimensions
      let wide = scaleShape.indices.filter { scaleShape[$0] != 1 }
      guard scaleShape.count == rank, wide.count <= 1, wide.allSatisfy({ scaleShape[$0] == x.shape.dimensions[$0] })
      else { continue }
      return try decode(x, scale: scale, zero: nil, axis: wide.first ?? 0, block: 0, name: output, also: output)
    }
  }

  /// What dynamic quantization leaves: `W_quantized`, `W_scale`, `W_zero_point` beside each other.
  private mutating func decodeByName() throws(ContainerError) {
    for name in order {
      guard let x = values[name], x.format.kind == .integer, let plain = Self.plainName(name),
        let scale = values[ByteString(plain.text + "_scale")], scale.format.kind == .float
      else { continue }
      let zero = values[ByteString(plain.text + "_zero_point")]
      let axis = x.shape.dimensions.lastIndex(of: scale.shape.elementCount) ?? 0
      try decode(x, scale: scale, zero: zero, axis: axis, block: 0, name: plain, also: plain)
    }
  }

  private mutating func decode(
    _ x: TensorRef, scale: TensorRef, zero: TensorRef?, axis: Int, block: Int, name: ByteString, also output: ByteString
  ) throws(ContainerError) {
    let dimensions = x.shape.dimensions
    let axis = axis < 0 ? axis + dimensions.count : axis
    let isForAll = scale.shape.elementCount == 1
    guard isForAll || dimensions.indices.contains(axis), scale.format.isPlain, x.format.isPlain,
      zero.map({ $0.shape.elementCount == scale.shape.elementCount }) ?? true
    else { throw fail(x.name, "scale \(scale.shape) and axis \(axis) do not fit \(x.shape)") }
    var isBlocked = false
    if !isForAll {
      isBlocked =
        block > 0 && block <= 1 << 24 && scale.shape.dimensions.count == dimensions.count && dimensions.count > 0
      let wanted = isBlocked ? (dimensions[axis] + block - 1) / block : dimensions[axis]
      let found = isBlocked ? scale.shape.dimensions[axis] : scale.shape.elementCount
      let others =
        isBlocked
        ? dimensions.indices.allSatisfy { $0 == axis || scale.shape.dimensions[$0] == dimensions[$0] } : true
      guard wanted == found, others else { throw fail(x.name, "\(found) scales where \(wanted) are needed") }
    }
    // Blocks along the last axis, the common case, let each row find its own scales.
    let perRow = isBlocked && axis == dimensions.count - 1 ? scale.shape.columns : nil
    let decoder = AffineDecoder(
      values: x, scales: perRow.flatMap { scale.reshaped(rows: x.shape.rows, columns: $0) } ?? scale,
      zeros: perRow.flatMap { columns in zero?.reshaped(rows: x.shape.rows, columns: columns) } ?? zero,
      inner: isForAll ? 1 : dimensions[(axis + 1)...].reduce(1, *), length: isForAll ? 1 : dimensions[axis],
      block: isBlocked ? block : 1, isBlocked: isBlocked, hasScalesPerRow: perRow != nil)
    let tensor = TensorRef(name: name, shape: x.shape, format: .f32, source: DecodedSource(decoder))
    for used in [x.name, scale.name] + (zero.map { [$0.name] } ?? []) where used != name { values[used] = nil }
    put(tensor, at: x.name)
    // The graph goes on with the output's name.
    if output != name { aliases[output] = name }
    decodedCount += 1
  }

  private var aliases: [ByteString: ByteString] = [:]

  private mutating func put(_ tensor: TensorRef, at old: ByteString) {
    if let position = order.firstIndex(of: old) { order[position] = tensor.name } else { order.append(tensor.name) }
    values[tensor.name] = tensor
  }

  /// MatMulNBits: B [N, blocks, bytes], scales [N · blocks], zero points packed like B; the weight is [N, K].
  private mutating func unpackBlocks(_ node: ONNXNode) throws(ContainerError) {
    guard node.inputs.count >= 3, let packed = values[node.inputs[1]], let scale = values[node.inputs[2]] else {
      return
    }
    let zero = node.inputs.count > 3 ? values[node.inputs[3]] : nil
    guard let rows = node.integers["N"], let columns = node.integers["K"], let block = node.integers["block_size"],
      rows > 0, columns > 0, (16...1 << 24).contains(block), let shape = Shape([rows, columns])
    else { throw fail(packed.name, "N, K or block_size of MatMulNBits is missing") }
    let bits = node.integers["bits"] ?? 4
    let blocks = (columns - 1) / block + 1
    guard [2, 4, 8].contains(bits), let cells = Int.product(of: [rows, blocks, block * bits / 8]),
      packed.byteCount == cells, packed.format == .u8, scale.shape.elementCount == rows * blocks,
      BlockFormat.f32.byteCount(elements: shape.elementCount) != nil,
      zero.map({
        $0.format == .u8 ? $0.byteCount == rows * ((blocks * bits + 7) / 8) : $0.shape.elementCount == rows * blocks
      })
        ?? true
    else {
      throw fail(packed.name, "\(packed.shape) and \(scale.shape) do not make [\(rows), \(columns)] of \(bits) bits")
    }
    let zeroWidth = zero.map { $0.format == .u8 ? (blocks * bits + 7) / 8 : blocks }
    guard let flat = packed.reshaped(rows: rows, columns: cells / rows),
      let scales = scale.reshaped(rows: rows, columns: blocks)
    else { throw fail(packed.name, "it does not lie in one piece") }
    let decoder = BlockMatrixDecoder(
      packed: flat, scales: scales, zeros: zero.flatMap { $0.reshaped(rows: rows, columns: zeroWidth ?? 0) },
      columns: columns, block: block, bits: bits)
    let suffixes = ["_Q4", "_Q8", "_Q2", "_q4", "_q8", "_quant", "_qweight"]
    let name = suffixes.lazy.compactMap { Self.removing($0, from: packed.name) }.first ?? packed.name
    for used in [packed.name, scale.name] + (zero.map { [$0.name] } ?? []) where used != name { values[used] = nil }
    put(TensorRef(name: name, shape: shape, format: .f32, source: DecodedSource(decoder)), at: packed.name)
    decodedCount += 1
  }

  private static func plainName(_ name: ByteString) -> ByteString? {
    removing("_quantized", from: name) ?? removing("_q", from: name)
  }

  private static func removing(_ suffix: String, from name: ByteString) -> ByteString? {
    let suffix = ByteString(suffix)
    return name.hasSuffix(suffix) && name.count > suffix.count
      ? ByteString(bytes: Array(name.bytes.dropLast(suffix.count))) : nil
  }

  private func fail(_ name: ByteString, _ reason: String) -> ContainerError {
    .malformed(.init(path, "ONNX", name: name), reason: reason)
  }

  // MARK: names

  private struct Product {
    let output: ByteString
    let weight: ByteString
    let isTransposed: Bool
    let node: ByteString
  }

  /// A Linear layer becomes MatMul and Add: the weight is transposed and named by number, the bias keeps its name.
  /// - Parameter products: in the graph's order, of which the first names a weight that several share.
  private mutating func recoverNames(_ products: [Product]) {
    let byOutput = Dictionary(products.map { ($0.output, $0) }, uniquingKeysWith: { _, last in last })
    let outputs = Dictionary(aliases.map { ($0.value, $0.key) }, uniquingKeysWith: min)
    var wanted: [ByteString: ByteString] = [:]
    for node in nodes where node.operation == "Add" && node.inputs.count == 2 {
      for (product, bias) in [(0, 1), (1, 0)] {
        guard let found = byOutput[node.inputs[product]], found.isTransposed,
          let layer = Self.removing(".bias", from: node.inputs[bias])
        else { continue }
        wanted[found.weight] = ByteString(layer.text + ".weight")
      }
    }
    for product in products where product.isTransposed && wanted[product.weight] == nil {
      // `/encoder/layer.0/attention/self/query/MatMul`
      guard let scope = Self.removing("/MatMul", from: product.node), scope.hasPrefix("/") else { continue }
      wanted[product.weight] = ByteString(
        scope.text.dropFirst().split(separator: "/").joined(separator: ".") + ".weight")
    }
    let taken = Set(values.keys)
    var given: Set<ByteString> = []
    for (position, name) in order.enumerated() {
      guard let new = wanted[name] ?? outputs[name].flatMap({ wanted[$0] }),
        Self.isNumbered(name), !taken.contains(new), let tensor = values[name], tensor.shape.dimensions.count == 2,
        given.insert(new).inserted
      else { continue }
      var result = tensor.transposed(cache)
      result.name = new
      result.sourceName = new
      values[name] = nil
      values[new] = result
      order[position] = new
      renamedCount += 1
    }
  }

  /// `onnx::MatMul_123`, `val_49`, `123`: what exporters call a value of their own making.
  private static func isNumbered(_ name: ByteString) -> Bool {
    let text = name.text
    let digits = text.reversed().prefix { $0.isASCII && $0.isNumber }
    return !digits.isEmpty && !text.contains(".")
  }
}
