import CKernels
import Synchronization

/// What an encoding with error feedback gave.
public struct FeedbackBlocks: Sendable {
  /// [rows][bytes of a row]
  public let bytes: [UInt8]
  /// δ H δᵀ of each row.
  public let rowErrors: [Double]
  /// Targets that were no numbers, and counted as zero.
  public let nonFiniteCount: Int
}

/// Values x ≈ scale · (q − zero) whose columns share scales in groups.
public struct GroupGrid: Hashable, Sendable {
  /// What scales are rounded to.
  public enum Scales: Sendable {
    case f32, f16, bf16

    var code: Int {
      switch self {
      case .f32: QUERN_SCALES_F32
      case .f16: QUERN_SCALES_F16
      case .bf16: QUERN_SCALES_BF16
      }
    }
  }

  /// A multiple of 32.
  public let groupColumns: Int
  public let codes: ClosedRange<Int>
  /// Whether a group has a zero point among its codes; else zero is 0.
  public let hasZero: Bool
  public let scales: Scales

  public init(groupColumns: Int, codes: ClosedRange<Int>, hasZero: Bool, scales: Scales) {
    self.groupColumns = groupColumns
    self.codes = codes
    self.hasZero = hasZero
    self.scales = scales
  }
}

/// What fitting to groups gave.
public struct FeedbackGroups: Sendable {
  /// The values that are stored, from which their codes follow. [rows, columns]
  public let decoded: Matrix
  /// [rows][groups]
  public let scales: Floats
  public let zeros: Floats
  /// δ H δᵀ of each row.
  public let rowErrors: [Double]
  public let nonFiniteCount: Int
}

/// H as the kernels want it, see ckernels_feedback.h.
public struct FeedbackPanels: Sendable {
  public let columns: Int
  /// M: [panel of 32 columns][row < 32 (panel + 1)][32]
  public let factor: Floats
  /// D: [columns]
  public let diagonal: Floats
  /// H: [panel of 32 columns][columns][32]
  public let gram: Floats

  public init(columns: Int, factor: Floats, diagonal: Floats, gram: Floats) {
    precondition(columns % 32 == 0 && diagonal.count == columns && gram.count == columns * columns)
    precondition(factor.count == columns / 32 * (columns / 32 + 1) / 2 * 1024)
    self.columns = columns
    self.factor = factor
    self.diagonal = diagonal
    self.gram = gram
  }
}

extension Kernels {
  /// Whether blocks of ggml's `type` can be encoded with error feedback.
  public func hasFeedback(type: UInt32) -> Bool { unsafe feedbackFunction(type) != nil }

  typealias FeedbackFunction = @convention(c) (UnsafePointer<quern_feedback>?) -> Int

  func feedbackFunction(_ type: UInt32) -> FeedbackFunction? {
    guard type < 48 else { return nil }
    return unsafe withUnsafePointer(to: table.pointee.feedback.pointee.rows) { rows in
      unsafe UnsafeRawPointer(rows).assumingMemoryBound(to: FeedbackFunction?.self)[Int(type)]
    }
  }
}

extension Processor {
  /// Encodes `targets` [rows, panels.columns] into blocks of ggml's `type`, `rowByteCount` bytes a row.
  /// `decoded` receives the values the blocks stand for.
  public func encodeWithFeedback(
    type: UInt32, rowByteCount: Int, targets: Matrix, panels: FeedbackPanels, sweeps: Int, decoded: Matrix?
  ) -> FeedbackBlocks {
    guard let function = unsafe kernels.feedbackFunction(type) else {
      preconditionFailure("no feedback for type \(type)")
    }
    let columns = panels.columns
    precondition(targets.columns == columns && targets.stride == columns, "the targets have another shape")
    if let decoded {
      precondition(decoded.rows == targets.rows && decoded.columns == columns && decoded.stride == columns)
    }
    let perTask = Int(QUERN_FEEDBACK_ROWS)
    let blocks = Buffer(byteCount: targets.rows * rowByteCount)
    let errors = Buffer(byteCount: targets.rows * 8)
    let nonFiniteCount = Atomic(0)
    pool.run(tasks: (targets.rows + perTask - 1) / perTask) { task in
      let first = task * perTask
      let scratch = Buffer(byteCount: quern_feedback_scratch(columns))
      var arguments = unsafe quern_feedback()
      unsafe arguments.columns = columns
      unsafe arguments.rows = min(perTask, targets.rows - first)
      unsafe arguments.targets = UnsafePointer(targets.base + first * columns)
      unsafe arguments.factor = UnsafePointer(panels.factor.base)
      unsafe arguments.diagonal = UnsafePointer(panels.diagonal.base)
      unsafe arguments.gram = UnsafePointer(panels.gram.base)
      unsafe arguments.sweeps = sweeps
      unsafe arguments.blocks = (blocks.base + first * rowByteCount).assumingMemoryBound(to: UInt8.self)
      unsafe arguments.decoded = decoded.map { unsafe $0.base + first * columns }
      unsafe arguments.errors = (errors.base + first * 8).assumingMemoryBound(to: Double.self)
      unsafe arguments.scratch = scratch.base
      nonFiniteCount.add(unsafe function(&arguments), ordering: .relaxed)
    }
    return unsafe FeedbackBlocks(
      bytes: Array(UnsafeRawBufferPointer(start: blocks.base, count: blocks.byteCount)),
      rowErrors: Array(
        UnsafeBufferPointer(start: errors.base.assumingMemoryBound(to: Double.self), count: targets.rows)),
      nonFiniteCount: nonFiniteCount.load(ordering: .relaxed))
  }

  /// Fits `targets` [rows, panels.columns] to groups that share a scale, as GPU libraries keep them.
  public func encodeGroups(_ grid: GroupGrid, targets: Matrix, panels: FeedbackPanels) -> FeedbackGroups {
    let columns = panels.columns
    let groups = columns / grid.groupColumns
    precondition(targets.columns == columns && targets.stride == columns, "the targets have another shape")
    precondition(grid.groupColumns % 32 == 0 && columns % grid.groupColumns == 0, "groups do not fill the rows")
    let perTask = 16
    let decoded = Matrix(rows: targets.rows, columns: columns)
    let scales = Floats(count: targets.rows * groups)
    let zeros = Floats(count: targets.rows * groups)
    let errors = Buffer(byteCount: targets.rows * 8)
    let nonFiniteCount = Atomic(0)
    pool.run(tasks: (targets.rows + perTask - 1) / perTask) { task in
      let first = task * perTask
      let scratch = Buffer(byteCount: 192 * columns)
      var arguments = unsafe quern_group_feedback()
      unsafe arguments.columns = columns
      unsafe arguments.rows = min(perTask, targets.rows - first)
      unsafe arguments.targets = UnsafePointer(targets.base + first * columns)
      unsafe arguments.factor = UnsafePointer(panels.factor.base)
      unsafe arguments.diagonal = UnsafePointer(panels.diagonal.base)
      unsafe arguments.groupColumns = grid.groupColumns
      unsafe arguments.low = Float(grid.codes.lowerBound)
      unsafe arguments.high = Float(grid.codes.upperBound)
      unsafe arguments.hasZero = grid.hasZero ? 1 : 0
      unsafe arguments.scales16 = Int32(grid.scales.code)
      unsafe arguments.decoded = decoded.base + first * columns
      unsafe arguments.scales = scales.base + first * groups
      unsafe arguments.zeros = zeros.base + first * groups
      unsafe arguments.errors = (errors.base + first * 8).assumingMemoryBound(to: Double.self)
      unsafe arguments.scratch = scratch.base
      nonFiniteCount.add(unsafe kernels.table.pointee.feedback.pointee.groups(&arguments), ordering: .relaxed)
    }
    return unsafe FeedbackGroups(
      decoded: decoded, scales: scales, zeros: zeros,
      rowErrors: Array(
        UnsafeBufferPointer(start: errors.base.assumingMemoryBound(to: Double.self), count: targets.rows)),
      nonFiniteCount: nonFiniteCount.load(ordering: .relaxed))
  }

  /// The gradient of causal attention over one sequence, from `outputGradient` [tokens, heads · valueDim] to those of
  /// its inputs, which have their shapes: query [tokens, heads · keyDim], key and value [tokens, kvHeads · their dim].
  public func attentionGradient(
    query: Matrix, key: Matrix, value: Matrix, heads: Int, kvHeads: Int, scale: Float, slidingWindow: Int?,
    outputGradient: Matrix, into gradients: (query: Matrix, key: Matrix, value: Matrix)
  ) {
    let tokens = query.rows
    precondition(tokens <= Int(QUERN_BACKWARD_TOKENS), "too many tokens at once")
    for (matrix, other) in [(query, gradients.query), (key, gradients.key), (value, gradients.value)] {
      precondition(matrix.rows == tokens && matrix.stride == matrix.columns && other.stride == matrix.columns)
      precondition(other.rows == tokens && other.columns == matrix.columns)
    }
    let (keyDim, valueDim) = (query.columns / heads, value.columns / kvHeads)
    // What each query head gives its keys and values.
    let shared = heads > kvHeads
    let keys = shared ? Matrix(rows: tokens, columns: heads * keyDim) : gradients.key
    let values = shared ? Matrix(rows: tokens, columns: heads * valueDim) : gradients.value
    let arguments = unsafe quern_attention_backward(
      q: query.base, k: key.base, v: value.base, dOut: outputGradient.base, dq: gradients.query.base, dk: keys.base,
      dv: values.base, tokens: tokens, heads: heads, kvHeads: kvHeads, keyDim: keyDim, valueDim: valueDim,
      window: slidingWindow ?? 0, scale: scale)
    unsafe pool.run(kernels.table.pointee.feedback.pointee.attentionBackward, arguments, tasks: heads)
    guard shared else { return }
    for (each, sum, dim) in [(keys, gradients.key, keyDim), (values, gradients.value, valueDim)] {
      pool.run(tasks: tokens) { token in
        each[token].withSpan { each in
          sum[token].withMutableSpan { sum in
            for column in 0..<sum.count {
              // Heads that share a key-value head lie one behind the other.
              let first = column / dim * (heads / kvHeads) * dim + column % dim
              var total = each[first]
              for head in 1..<heads / kvHeads { total += each[first + head * dim] }
              sum[column] = total
            }
          }
        }
      }
    }
  }
}
