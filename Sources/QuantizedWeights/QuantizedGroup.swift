import Bytes
import IR

/// Checks one group against its scheme and makes its decoder.
struct QuantizedGroup {
  let match: QuantizedMatch
  let tensors: [ByteString: TensorRef]
  let settings: QuantizationSettings
  let place: ContainerError.Place
  let cache: PanelCache

  struct Result {
    let tensor: TensorRef
    let kind: String
    let consumed: [ByteString]
  }

  init(
    _ match: QuantizedMatch, tensors: [ByteString: TensorRef], settings: QuantizationSettings,
    place: ContainerError.Place, cache: PanelCache
  ) {
    self.match = match
    self.tensors = tensors
    self.settings = settings
    self.place = place
    self.cache = cache
  }

  var path: ByteString { match.path }
  var main: TensorRef { match.main }

  func decoded() throws(ContainerError) -> Result {
    switch match.scheme {
    case .gptq: try gptq()
    case .awq: try awq()
    case .compressedTensors: try compressedTensors()
    case .nvfp4: try float4(groupSize: 16)
    case .mxfp4: try float4(groupSize: 32)
    case .bitsAndBytes4: try bitsAndBytes4()
    case .bitsAndBytes8:
      try rowScaled(scale: ".SCB", factor: 1 / 127, also: [".weight_format"], kind: "bitsandbytes int8")
    case .scaledRows: try scaledRows()
    case .mlx: try mlx()
    case .mlxFloat: try mlxFloat()
    case .blockFloat8: try blockFloat8()
    case .hqq: try hqq()
    case .mxfp4Blocks: try mxfp4Blocks()
    }
  }

  func fail(_ reason: String) -> ContainerError {
    .malformed(.init(place.path, place.container, name: main.name, offset: place.offset), reason: reason)
  }

  func beside(_ suffix: String) throws(ContainerError) -> TensorRef {
    guard let tensor = tensors[path + suffix] else { throw fail("\(path)\(suffix) is missing beside it") }
    return tensor
  }

  func result(
    _ dimensions: [Int], _ decoder: any RowDecoder, kind: String, name: ByteString? = nil, uses suffixes: [String],
    isPaneled: Bool = false
  ) throws(ContainerError) -> Result {
    guard let shape = Shape(dimensions), BlockFormat.f32.byteCount(elements: shape.elementCount) != nil else {
      throw fail("its decoded shape \(dimensions) is too large")
    }
    let tensor = TensorRef(name: name ?? path + ".weight", shape: shape, format: .f32, source: DecodedSource(decoder))
    return Result(
      tensor: isPaneled ? tensor.paneled(cache) : tensor, kind: kind, consumed: suffixes.map { path + $0 })
  }

  func floats(of tensor: TensorRef) throws(ContainerError) -> [Float] {
    guard tensor.byteCount <= 1 << 26, tensor.format.isPlain else {
      throw fail("\(tensor.name) of \(tensor.byteCount) bytes is no small table")
    }
    do throws(FileError) { return try tensor.floats() } catch { throw .file(error) }
  }

  /// Small tensors only: what is read when a file is opened must not grow with it.
  func bytes(of tensor: TensorRef) throws(ContainerError) -> [UInt8] {
    guard tensor.byteCount <= 1 << 26 else {
      throw fail("\(tensor.name) of \(tensor.byteCount) bytes is no small table")
    }
    do throws(FileError) { return try tensor.readAll() } catch { throw .file(error) }
  }

  /// Group size that divides `count` inputs into `groups`; the configured one where that agrees.
  func groupSize(inputs count: Int, groups: Int) throws(ContainerError) -> Int {
    guard groups > 0, count > 0 else { throw fail("without groups") }
    if let size = settings.groupSize, (1...1 << 24).contains(size), (count + size - 1) / size == groups { return size }
    guard count % groups == 0 else { throw fail("\(count) inputs do not make \(groups) groups") }
    return count / groups
  }
}
