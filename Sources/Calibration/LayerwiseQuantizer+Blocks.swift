import Bytes
import Codecs
import IR
import Kernels
import Passes

extension LayerwiseQuantizer {
  /// Every layer fitted to its own weights on the full-precision model's inputs.
  func independent(
    _ layer: Int, _ runner: BlockRunner, _ grams: Grams, _ states: TokenStates
  ) throws(CalibrationError) -> [EncodedTensor] {
    let block = try DecoderBlock(layer: layer, from: reader)
    for role in LinearRole.allCases {
      block.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer)))
    }
    var biases: [BlockInput: BiasCorrection] = [:]
    var matrices = grams.collect(block, runner, over: states, on: processor) { input, window in
      let weights = tokenWeights?.weights(layer: layer, input, window: window)
      if input.readers.contains(where: { correctsBias($0, layer) }) {
        biases[input, default: BiasCorrection(processor)]
          .add(runner.matrix(of: input), lack: nil, residual: nil, weights: weights)
      }
      return weights
    }
    block.weights = [:]
    var result: [EncodedTensor] = []
    for input in BlockInput.allCases {
      guard let gram = matrices.removeValue(forKey: input) else { continue }
      result += try encode(
        layer, input.readers, gram: gram, columnFactors: nil, correction: nil, bias: biases[input], keepingIn: nil)
    }
    return result
  }

  /// Every layer fitted to the full-precision output, given the inputs that the quantized layers before it make.
  func sequential(
    _ layer: Int, _ runner: BlockRunner, _ grams: Grams, _ reference: TokenStates, _ quantized: TokenStates
  ) throws(CalibrationError) -> [EncodedTensor] {
    let exact = try DecoderBlock(layer: layer, from: reader)
    let rounded = try DecoderBlock(layer: layer, from: reader)
    var result: [EncodedTensor] = []

    func load(_ roles: [LinearRole]) throws(CalibrationError) {
      for role in roles { exact.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer))) }
    }
    /// Accumulates over all windows what the full-precision model feeds the layers, and what they will be fed.
    func encodeGroup(_ input: BlockInput, exactly: (Int) -> Void, roughly: (Int) -> Void) throws(CalibrationError) {
      let matrix = runner.matrix(of: input)
      let columns = matrix.columns
      let width = configuration.width
      let gram = Matrix(rows: columns, columns: columns)
      let difference = Matrix(rows: columns, columns: columns)
      // What is added to the residual stream can make up for what the stream lacks.
      let residual = settings.fitsResidual && input.isAdded ? Matrix(rows: width, columns: columns) : nil
      let keep = grams.kept(columns: columns)
      let hasBias = input.readers.contains { correctsBias($0, layer) }
      var bias = hasBias ? BiasCorrection(processor) : nil
      let lack = residual.map { _ in Matrix(rows: runner.tokens, columns: width) }
      for window in 0..<windows.count {
        if let lack { processor.add(reference[window], quantized[window], factor: -1, into: lack) }
        exactly(window)
        keep.copy(from: matrix)
        roughly(window)
        processor.add(keep, matrix, factor: -1, into: keep)
        let weights = tokenWeights?.weights(layer: layer, input, window: window)
        bias?.add(matrix, lack: keep, residual: lack, weights: weights)
        grams.accumulator.addSymmetric(matrix, weights: weights, into: gram, on: processor)
        grams.accumulator.add(matrix, keep, weights: weights, into: difference, on: processor)
        if let lack, let residual {
          grams.accumulator.add(lack, matrix, weights: weights, into: residual, on: processor)
        }
      }
      var columnFactors: [Float]?
      if scalesNorm(of: input, layer: layer), let name = Self.normName(of: input, layer: layer) {
        columnFactors = try scaling(of: input, layer: layer, gram: gram)
        let norm = try reader.vector(name)
        if let columnFactors {
          norm.withMutableSpan { norm in
            for column in columnFactors.indices { norm[column] /= columnFactors[column] }
          }
          rounded.setNorm(norm, of: input)
        }
        result.append(EncodedTensor(vector: norm, named: name))
      }
      let inverse = columnFactors?.map { 1 / $0 }
      let correction = InputCorrection(
        difference: WeightMatrix(inverse.map { difference.scaled(by: $0) } ?? difference), residual: residual)
      result += try encode(
        layer, input.readers, gram: inverse.map { gram.scaled(by: $0) } ?? gram, columnFactors: columnFactors,
        correction: correction, bias: bias, keepingIn: rounded)
    }

    try load([.query, .key, .value])
    try encodeGroup(.attention) { window in
      runner.norm(reference[window], exact.attentionNorm)
    } roughly: { window in
      runner.norm(quantized[window], rounded.attentionNorm)
    }
    // Attention is dear: its outputs are kept for the step after.
    let referenceAttended = TokenStates(
      windowCount: windows.count, tokens: runner.tokens, width: runner.attended.columns)
    let quantizedAttended = TokenStates(
      windowCount: windows.count, tokens: runner.tokens, width: runner.attended.columns)
    try encodeGroup(.attended) { window in
      runner.norm(reference[window], exact.attentionNorm)
      runner.attend(exact)
      referenceAttended[window].copy(from: runner.attended)
    } roughly: { window in
      runner.norm(quantized[window], rounded.attentionNorm)
      runner.attend(rounded)
      quantizedAttended[window].copy(from: runner.attended)
    }
    try load([.output])
    for window in 0..<windows.count {
      runner.attended.copy(from: referenceAttended[window])
      runner.addAttention(exact, to: reference[window])
      runner.attended.copy(from: quantizedAttended[window])
      runner.addAttention(rounded, to: quantized[window])
    }
    try encodeGroup(.feedForward) { window in
      runner.norm(reference[window], exact.feedForwardNorm)
    } roughly: { window in
      runner.norm(quantized[window], rounded.feedForwardNorm)
    }
    exact.weights = [:]
    try load([.gate, .up, .down])
    try encodeGroup(.activated) { window in
      runner.norm(reference[window], exact.feedForwardNorm)
      runner.activate(exact)
      runner.addFeedForward(exact, to: reference[window])
    } roughly: { window in
      runner.norm(quantized[window], rounded.feedForwardNorm)
      runner.activate(rounded)
    }
    for window in 0..<windows.count {
      runner.norm(quantized[window], rounded.feedForwardNorm)
      runner.activate(rounded)
      runner.addFeedForward(rounded, to: quantized[window])
    }
    return result
  }

  /// Encodes layers of one input; those the plan leaves alone stay as they are. `rounded` receives the new weights.
  private func encode(
    _ layer: Int, _ roles: [LinearRole], gram: Matrix, columnFactors: [Float]?, correction: InputCorrection?,
    bias: BiasCorrection?,
    keepingIn rounded: DecoderBlock?
  ) throws(CalibrationError) -> [EncodedTensor] {
    var result: [EncodedTensor] = []
    var hessian: InputHessian?
    for role in roles {
      let name = role.tensorName(layer: layer)
      guard let tensor = model[name] else { throw .missingTensor(name) }
      let original = try reader.matrix(name)
      let weights = columnFactors.map { original.columnsScaled(by: $0) } ?? original
      guard takesFeedback(name), let format = plan[name] else {
        rounded?.weights[role] = WeightMatrix(try plainlyEncoded(tensor, weights))
        continue
      }
      if hessian == nil { hessian = InputHessian(gram: gram, damping: settings.damping, on: processor) }
      guard let hessian else { throw .notFinite(tensor: name) }
      let decoded: Matrix?
      if let grid = grids[name] {
        let encoded = encoder.encode(tensor, on: grid, weights: weights, hessian: hessian, correction: correction)
        result.append(encoded)
        decoded = encoded.groups?.decoded
      } else {
        decoded =
          rounded == nil && bias == nil ? nil : Matrix(rows: weights.rows, columns: weights.columns)
        result.append(
          encoder.encode(
            tensor, as: format, weights: weights, hessian: hessian, correction: correction, decoded: decoded))
      }
      guard let decoded else { continue }
      rounded?.weights[role] = WeightMatrix(decoded)
      if let bias, correctsBias(role, layer), let old = try reader.optionalVector(role.biasName(layer: layer)) {
        let corrected = bias.corrected(old, weights: weights, decoded: decoded)
        rounded?.biases[role] = corrected
        result.append(EncodedTensor(vector: corrected, named: role.biasName(layer: layer)))
      }
    }
    return result
  }

  /// What a tensor is worth after its plain encoder, which does not see activations.
  private func plainlyEncoded(_ tensor: TensorRef, _ weights: Matrix) throws(CalibrationError) -> Matrix {
    guard let format = plan[tensor.name], format != tensor.format,
      let source = RecodedSource(tensor, as: format, kernels: processor.kernels)
    else { return weights }
    var recoded = tensor
    recoded.format = format
    recoded.source = source
    return try reader.matrix(recoded, rows: 0..<tensor.shape.rows)
  }
}
