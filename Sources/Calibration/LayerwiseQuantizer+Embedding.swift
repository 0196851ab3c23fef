import Bytes
import Codecs
import IR
import Kernels

extension LayerwiseQuantizer {
  /// The embedding's rows as they are, or as the plan's plain encoder leaves them.
  func fillPlainly(_ states: TokenStates, encoded: Bool = false) throws(CalibrationError) {
    guard var tensor = model["token_embd.weight"] else { throw .missingTensor("token_embd.weight") }
    if encoded, let format = plan[tensor.name], format != tensor.format,
      let source = RecodedSource(tensor, as: format, kernels: processor.kernels)
    {
      tensor.format = format
      tensor.source = source
    }
    try states.fill(windows, from: tensor, reader)
  }

  func fill(_ states: TokenStates, from encoded: EncodedTensor) throws(CalibrationError) {
    guard var tensor = model[encoded.name] else { throw .missingTensor(encoded.name) }
    tensor.format = encoded.format
    tensor.source = MemoryTensorSource(
      bytes: encoded.bytes, rowByteCount: encoded.bytes.count / max(1, tensor.shape.rows))
    try states.fill(windows, from: tensor, reader)
  }

  func encodeEmbedding() throws(CalibrationError) -> EncodedTensor? {
    guard takesFeedback("token_embd.weight"), let fisher else { return nil }
    let gram = Matrix(rows: configuration.width, columns: configuration.width)
    gram.copy(from: fisher.embeddingGram)
    if model["output.weight"] == nil {
      // A tied matrix is read twice. Both costs are per token, and a row's share of either is how often it occurs.
      processor.add(gram, fisher.headGram, into: gram)
    }
    guard let hessian = InputHessian(gram: gram, damping: settings.damping, on: processor) else {
      throw .notFinite(tensor: "token_embd.weight")
    }
    return try encodeSlabs("token_embd.weight", hessian: hessian, correction: nil)
  }

  func encodeHead(
    _ runner: BlockRunner, _ grams: Grams, _ reference: TokenStates, _ quantized: TokenStates
  ) throws(CalibrationError) -> EncodedTensor {
    let norm = try reader.vector("output_norm.weight")
    let columns = configuration.width
    let gram = Matrix(rows: columns, columns: columns)
    let difference = Matrix(rows: columns, columns: columns)
    let keep = grams.kept(columns: columns)
    for window in 0..<windows.count {
      runner.norm(reference[window], norm)
      keep.copy(from: runner.normed)
      runner.norm(quantized[window], norm)
      processor.add(keep, runner.normed, factor: -1, into: keep)
      let weights = tokenWeights?.headWeights(window: window)
      grams.accumulator.addSymmetric(runner.normed, weights: weights, into: gram, on: processor)
      if settings.isSequential {
        grams.accumulator.add(runner.normed, keep, weights: weights, into: difference, on: processor)
      }
    }
    guard let hessian = InputHessian(gram: gram, damping: settings.damping, on: processor) else {
      throw .notFinite(tensor: "output.weight")
    }
    return try encodeSlabs(
      "output.weight", hessian: hessian,
      correction: settings.isSequential
        ? InputCorrection(difference: WeightMatrix(difference), residual: nil) : nil)
  }

  private func encodeSlabs(
    _ name: ByteString, hessian: InputHessian, correction: InputCorrection?
  ) throws(CalibrationError) -> EncodedTensor {
    guard let tensor = model[name], let format = plan[name] else { throw .missingTensor(name) }
    return try encoder.encodeSlabs(tensor, as: format, hessian: hessian, correction: correction, reader)
  }
}
