import Bytes
import Codecs
import IR
import Kernels
import Runtime

/// What becomes of one layer's tensors, part by part as the sums over their inputs are there.
final class LayerEncoding {
  /// The model with the tensors that are finished in place of its own.
  private(set) var patched: Model
  private let quantizer: GraphQuantizer
  /// Parts of tensors that are to be encoded, with what became of them.
  private var pending: [ByteString: [EncodedTensor?]] = [:]
  private var order: [ByteString] = []
  private var finished: [EncodedTensor] = []

  init(_ quantizer: GraphQuantizer, _ layer: LayerwiseTransformer.Layer) {
    self.quantizer = quantizer
    patched = quantizer.model
    for part in layer.parts where quantizer.encodedNames.contains(part.tensor) && pending[part.tensor] == nil {
      pending[part.tensor] = Array(repeating: nil, count: part.count)
      order.append(part.tensor)
    }
    // What no product reads (a table of distances, say), should a plan want it packed.
    let prefix = ByteString("blk.\(layer.index).")
    for name in quantizer.encodedNames.sorted() where name.hasPrefix(prefix) && pending[name] == nil {
      pending[name] = [nil]
      order.append(name)
    }
  }

  var isComplete: Bool { pending.isEmpty }

  /// Whether a matrix still waits for its inputs.
  func wants(_ part: TensorPart) -> Bool {
    guard let parts = pending[part.tensor] else { return false }
    return parts[part.index] == nil
  }

  /// Encodes all that read one input.
  func encode(_ inputs: InputSums) throws(CalibrationError) {
    let readers = inputs.readers.filter(wants)
    guard let first = readers.first else { return }
    let hessian = try quantizer.hessian(inputs, for: first.tensor)
    for part in readers { try encode(part, hessian, inputs.correction) }
  }

  private func encode(
    _ part: TensorPart, _ hessian: InputHessian, _ correction: InputCorrection?
  ) throws(CalibrationError) {
    guard let tensor = quantizer.model[part.tensor] else { throw .missingTensor(part.tensor) }
    pending[part.tensor]?[part.index] = try quantizer.encode(
      tensor, rows: part.rows(of: tensor.shape.rows), hessian: hessian, correction: correction)
    guard let parts = pending[part.tensor], parts.allSatisfy({ $0 != nil }) else { return }
    let all = parts.compactMap { $0 }
    let whole = all.count == 1 ? all[0] : EncodedTensor(joining: all, of: tensor.name, all[0].format)
    finished.append(whole)
    pending[part.tensor] = nil
    replace(tensor, by: whole)
  }

  /// All tensors of the layer. Those that no token reached (an expert, say) count all columns alike.
  func finish() throws(CalibrationError) -> [EncodedTensor] {
    for name in order {
      guard let parts = pending[name], let tensor = quantizer.model[name] else { continue }
      let unseen = InputSums(columns: tensor.shape.columns, isPaired: false)
      unseen.gram.floats.withMutableSpan { gram in
        for column in 0..<tensor.shape.columns { gram[column * tensor.shape.columns + column] = 1 }
      }
      let hessian = try quantizer.hessian(unseen, for: name)
      for index in parts.indices where parts[index] == nil {
        try encode(TensorPart(tensor: name, index: index, count: parts.count), hessian, nil)
      }
    }
    return finished
  }

  private func replace(_ tensor: TensorRef, by encoded: EncodedTensor) {
    var stored = tensor
    if let groups = encoded.groups {
      stored.format = .f32
      let values = groups.decoded.floats.array()
      var bytes = [UInt8](repeating: 0, count: values.count * 4)
      bytes.withMutableRawSpan { $0.store(values.span) }
      stored.source = MemoryTensorSource(bytes: bytes, rowByteCount: tensor.shape.columns * 4)
    } else {
      stored.format = encoded.format
      stored.source = MemoryTensorSource(
        bytes: encoded.bytes, rowByteCount: encoded.bytes.count / max(1, tensor.shape.rows))
    }
    patched.replaceTensors(patched.tensors.map { $0.name == tensor.name ? stored : $0 })
  }
}
