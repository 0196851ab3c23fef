import Bytes
import IR
import Kernels
import Runtime

/// Sums over what some matrices of a layer read.
final class InputSums {
  /// Σ x xᵀ of the inputs that the quantized model makes, [columns, columns].
  let gram: Matrix
  /// Σ x (x' − x)ᵀ, x' the inputs that the full-precision model makes; nil where they do not go in pairs.
  let difference: Matrix?
  fileprivate(set) var readers: [TensorPart] = []
  /// One window's x'.
  fileprivate var kept: Matrix?

  init(columns: Int, isPaired: Bool) {
    gram = Matrix(rows: columns, columns: columns)
    difference = isPaired ? Matrix(rows: columns, columns: columns) : nil
  }

  static func byteCount(columns: Int, isPaired: Bool) -> Int { columns * columns * (isPaired ? 8 : 4) }

  var correction: InputCorrection? {
    difference.map { InputCorrection(difference: WeightMatrix($0), residual: nil) }
  }
}

extension InputSums {
  /// One run over the text: the sums that there was room for and, where targets are sequential, that can be had before
  /// the matrices which read them are rounded.
  final class Pass {
    private(set) var inputs: [InputSums] = []
    /// By the first of the matrices that read an input.
    private var places: [TensorPart: Int] = [:]
    private var deferred: Set<TensorPart> = []
    /// The one tensor whose inputs are summed where targets are sequential: those after it depend on its rounding.
    private var tensor: ByteString?
    private var byteCount = 0
    private let budget: Int
    private let isSequential: Bool
    private let wanted: (TensorPart) -> Bool

    fileprivate init(budget: Int, isSequential: Bool, wanted: @escaping (TensorPart) -> Bool) {
      self.budget = budget
      self.isSequential = isSequential
      self.wanted = wanted
    }

    /// The sums of an input, made when it is first met and there is room.
    fileprivate func sums(of readers: [TensorPart], _ input: Matrix) -> InputSums? {
      guard let first = readers.first else { return nil }
      if let place = places[first] { return inputs[place] }
      guard !deferred.contains(first), input.columns % 32 == 0, readers.contains(where: wanted) else { return nil }
      if isSequential {
        if let tensor, tensor != first.tensor { return nil }
        tensor = first.tensor
      }
      // Experts see other tokens in the quantized model.
      let isPaired = isSequential && readers.allSatisfy { $0.count == 1 }
      let byteCount = InputSums.byteCount(columns: input.columns, isPaired: isPaired)
      guard inputs.isEmpty || self.byteCount + byteCount <= budget else {
        deferred.insert(first)
        return nil
      }
      let sums = InputSums(columns: input.columns, isPaired: isPaired)
      sums.readers = readers
      places[first] = inputs.count
      inputs.append(sums)
      self.byteCount += byteCount
      return sums
    }
  }

  /// Runs layers and adds up what their matrices read.
  final class Accumulator {
    private let transformer: LayerwiseTransformer
    private let processor: Processor
    private var grams: GramAccumulator?
    private var widest = 0
    private let state: Matrix

    init(_ transformer: LayerwiseTransformer, _ processor: Processor) {
      self.transformer = transformer
      self.processor = processor
      state = Matrix(rows: transformer.tokens, columns: transformer.width)
    }

    /// - Parameters:
    ///   - exact: the layer as it is, run on the full-precision stream where there are two.
    ///   - rounded: the layer as far as it is quantized, run on the quantized stream.
    ///   - wanted: whether a matrix still needs its sums.
    func pass(
      _ exact: LayerwiseTransformer.Layer, _ rounded: LayerwiseTransformer.Layer, _ streams: CalibrationStreams,
      budget: Int, wanted: @escaping (TensorPart) -> Bool
    ) -> Pass {
      let pass = Pass(budget: budget, isSequential: streams.isSequential, wanted: wanted)
      for window in 0..<streams.quantized.windowCount {
        if streams.isSequential {
          state.copy(from: streams.reference[window])
          transformer.run(exact, window: window, on: state) { input, readers in
            guard let sums = pass.sums(of: readers, input) else { return true }
            guard sums.difference != nil else { return false }
            let kept = sums.kept ?? Matrix(rows: input.rows, columns: input.columns)
            kept.copy(from: input)
            sums.kept = kept
            return false
          }
        }
        state.copy(from: streams.quantized[window])
        transformer.run(rounded, window: window, on: state) { input, readers in
          guard let sums = pass.sums(of: readers, input) else { return true }
          self.add(input, to: sums)
          return sums.difference == nil
        }
      }
      return pass
    }

    /// Sums over what the head reads.
    func final(_ last: LayerwiseTransformer.Layer, _ streams: CalibrationStreams, columns: Int) -> InputSums {
      let sums = InputSums(columns: columns, isPaired: streams.isSequential)
      for window in 0..<streams.quantized.windowCount {
        if streams.isSequential {
          let kept = sums.kept ?? Matrix(rows: transformer.tokens, columns: columns)
          kept.copy(from: transformer.finalState(last, streams.reference[window]))
          sums.kept = kept
        }
        add(transformer.finalState(last, streams.quantized[window]), to: sums)
      }
      return sums
    }

    private func add(_ input: Matrix, to sums: InputSums) {
      if grams == nil || widest < input.columns {
        widest = max(widest, input.columns)
        grams = GramAccumulator(tokens: transformer.tokens, columns: widest)
      }
      grams?.addSymmetric(input, into: sums.gram, on: processor)
      guard let difference = sums.difference, let kept = sums.kept else { return }
      processor.add(kept, input, factor: -1, into: kept)
      grams?.add(input, kept, into: difference, on: processor)
    }
  }
}

/// The residual streams of all windows: the full-precision model's and the quantized one's, which are the same where
/// targets are not sequential.
struct CalibrationStreams {
  let reference: TokenStates
  let quantized: TokenStates
  let isSequential: Bool
  private let transformer: LayerwiseTransformer

  /// - Parameter plain: a tensor as its plain encoder leaves it.
  init(
    _ transformer: LayerwiseTransformer, _ model: Model, isSequential: Bool, plain: (TensorRef) -> TensorRef
  ) throws(CalibrationError) {
    func states() -> TokenStates {
      TokenStates(windowCount: transformer.windows.count, tokens: transformer.tokens, width: transformer.width)
    }
    self.transformer = transformer
    self.isSequential = isSequential
    let (reference, quantized) = (states(), isSequential ? states() : nil)
    self.reference = reference
    self.quantized = quantized ?? reference
    try CalibrationError.wrapping { () throws(RuntimeError) in
      try transformer.embed(from: model) { reference[$0] }
      if let quantized {
        var rounded = model
        rounded.replaceTensors(model.tensors.map { $0.name.hasPrefix("blk.") ? $0 : plain($0) })
        try transformer.embed(from: rounded) { quantized[$0] }
      }
    }
  }

  /// Moves the streams past a layer.
  func advance(_ exact: LayerwiseTransformer.Layer, _ rounded: LayerwiseTransformer.Layer) {
    for window in 0..<quantized.windowCount {
      if isSequential { transformer.run(exact, window: window, on: reference[window]) }
      transformer.run(rounded, window: window, on: quantized[window])
    }
  }
}
