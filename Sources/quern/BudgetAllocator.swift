import Bytes
import Codecs
import Footprint
import IR
import Kernels
import Passes

/// Chooses a format for every matrix so that a model fits a budget and loses least.
///
/// Every matrix starts in the smallest format its rows fill. Then the steps to larger ones are taken in the order of what
/// they mend per byte, as long as the whole fits: error of the format (measured over a layer of SmolLM2, relative to the
/// weights' square) × weights × how much the matrix's place in the block is known to matter. No text is needed for that.
/// Steps are nested, so a larger budget never gives less. What a text told of each matrix replaces the whole ladder.
struct BudgetAllocator {
  /// What the program can write and the runtime multiplies directly.
  private let formats: [BlockFormat]
  private let kept: Set<ByteString>
  private let least: QuantizationPlan
  /// In the order in which they are taken.
  private let steps: [Step]

  /// Mean squared error of our encoders, relative.
  private static let errors: [(format: BlockFormat, error: Double)] = [
    (.iq2_XXS, 0.106), (.q2_0, 0.127), (.iq2_XS, 0.0796), (.iq2_S, 0.0580), (.q2_K, 0.0696), (.iq3_XXS, 0.0310),
    (.iq3_S, 0.0171), (.q3_K, 0.0218), (.mxfp4, 0.0128), (.iq4_XS, 0.00564), (.q4_K, 0.00505),
    (.q4_0, 0.00693), (.iq4_NL, 0.00554), (.q4_1, 0.00493), (.q5_0, 0.00172), (.q5_K, 0.00125), (.q5_1, 0.00115),
    (.q6_K, 0.000296), (.q8_0, int8Error), (.bf16, 2.8e-6), (.f16, 4e-8),
  ]
  private static let int8Error = 2.67e-5

  /// A step from one format of a matrix to a larger one.
  private struct Step {
    let tensor: Int
    let to: BlockFormat
    let bytes: Int
    let gainPerByte: Double
  }

  /// - Parameters:
  ///   - runtime: whose integer kernels count; our own multiplies only the formats with blocks of 32.
  ///   - keeps: whether a matrix is too delicate for any of it, a router for one.
  init(_ model: Model, runtime: String, kernels: Kernels, keeps: (ByteString) -> Bool) {
    formats = Self.errors.map(\.format).filter { format in
      // IQ4_NL is decoded for each product, where Q4_0 of the same size is not. Below that there is nothing else.
      let isDirect = format.elementsPerBlock <= 32 && format != .iq4_NL || [.q2_0, .q2_K, .q3_K].contains(format)
      return (isDirect || runtime != "quern") && Codec.for(format, kernels: kernels)?.canEncode == true
    }
    kept = Set(model.tensors.map(\.name).filter(keeps))
    var least = QuantizationPlan.widenedVectors(of: model)
    var steps: [Step] = []
    for position in least.steps.indices where !kept.contains(least.steps[position].name) {
      let ladder = Self.ladder(of: least.steps[position], in: model, formats: formats)
      guard let first = ladder.first else { continue }
      least.steps[position].to = first.format
      least.steps[position].reason = first.format == least.steps[position].from ? "kept" : "smallest"
      for (below, above) in zip(ladder, ladder.dropFirst()) {
        let bytes = above.bytes - below.bytes
        steps.append(
          Step(tensor: position, to: above.format, bytes: bytes, gainPerByte: (below.loss - above.loss) / Double(bytes))
        )
      }
    }
    // Gains fall along a ladder, so a matrix's steps stay in their order.
    self.steps = steps.sorted { ($0.gainPerByte, $1.tensor) > ($1.gainPerByte, $0.tensor) }
    self.least = least
  }

  /// The plan that fits and keeps most; the smallest there is when not even that fits.
  /// - Parameter headroom: of a plan: what it leaves of the budget, below zero when it does not fit.
  func plan(headroom: (QuantizationPlan) throws -> Int) throws -> QuantizationPlan {
    // Most devices have room for all.
    let most = applying(steps[...], to: least)
    if try headroom(most) >= 0 { return most }
    guard try headroom(least) >= 0 else { return least }
    var taken = 0
    var refused = steps.count
    while taken + 1 < refused {
      let middle = (taken + refused) / 2
      if try headroom(applying(steps.prefix(middle), to: least)) >= 0 { taken = middle } else { refused = middle }
    }
    let safe = applying(steps.prefix(taken), to: least)
    // A large matrix may stand in the way of small ones that still have room.
    var rest = try headroom(safe)
    var chosen = Array(steps.prefix(taken))
    var blocked: Set<Int> = []
    for step in steps.dropFirst(taken) where !blocked.contains(step.tensor) {
      // Buffers grow in whole pages.
      if step.bytes + 4096 <= rest {
        rest -= step.bytes + 4096
        chosen.append(step)
      } else {
        blocked.insert(step.tensor)
      }
    }
    let full = applying(chosen[...], to: least)
    return try headroom(full) >= 0 ? full : safe
  }

  /// The plan whose measured losses are least among those that fit; matrices without a measurement have the formats of
  /// `plan(headroom:)`.
  /// - Parameter measured: what each matrix loses in each format.
  func plan(
    _ measured: [TensorChoices], headroom: (QuantizationPlan) throws -> Int
  ) throws -> QuantizationPlan {
    let start = try plan(headroom: headroom)
    let steps = Dictionary(start.steps.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let free = measured.compactMap { tensor in steps[tensor.name].flatMap { allowed(tensor, $0) } }
    var room = try headroom(start)
    guard room >= 0, !free.isEmpty else { return start }
    var best = start
    // Of a format that no measurement knows, the loss is not known either.
    var bestLoss = free.reduce(0) { sum, tensor in
      sum + (tensor.choices.first { $0.format == steps[tensor.name]?.to }?.loss ?? .infinity)
    }
    var bytes = free.reduce(0) { sum, tensor in sum + (steps[tensor.name].map { start.byteCount(of: $0) } ?? 0) }
    // What the runtime adds to a file's bytes, padding and buffers, depends on the formats: a few corrections settle it.
    for _ in 0..<6 {
      guard let allocation = Allocation(free, budget: bytes + room) else { break }
      let tried = applying(allocation, to: start)
      room = try headroom(tried)
      bytes = allocation.byteCount
      if room >= 0, allocation.loss < bestLoss {
        (best, bestLoss) = (tried, allocation.loss)
      } else if room >= 0 {
        break
      }
    }
    return best
  }

  /// The choices that the runtime likes and that are smaller than what is stored, and that itself.
  private func allowed(_ tensor: TensorChoices, _ step: QuantizationPlan.Step) -> TensorChoices? {
    guard step.from.kind != .integer, !kept.contains(step.name),
      let row = step.from.byteCount(elements: step.shape.columns)
    else { return nil }
    let stored = row * step.shape.rows
    var choices = tensor.choices.filter { formats.contains($0.format) }
    // Halves are not measured: they lose so little that the ratio to int8 will do.
    if let int8 = tensor.choices.first(where: { $0.format == .q8_0 }) {
      for (format, error) in Self.errors where formats.contains(format) && format.kind == .float {
        choices.append(
          .init(
            format: format, byteCount: (format.byteCount(elements: step.shape.columns) ?? 0) * step.shape.rows,
            loss: int8.loss * error / Self.int8Error))
      }
    }
    choices.removeAll { $0.byteCount >= stored || $0.format == step.from }
    return TensorChoices(
      name: tensor.name, choices: choices + [.init(format: step.from, byteCount: stored, loss: 0)])
  }

  private func applying(_ allocation: Allocation, to plan: QuantizationPlan) -> QuantizationPlan {
    var result = plan
    for index in result.steps.indices {
      guard let format = allocation.formats[result.steps[index].name] else { continue }
      result.steps[index].to = format
      result.steps[index].reason = format == result.steps[index].from ? "kept" : "allocated"
    }
    return result
  }

  private func applying(_ steps: ArraySlice<Step>, to plan: QuantizationPlan) -> QuantizationPlan {
    var result = plan
    for step in steps {
      result.steps[step.tensor].to = step.to
      result.steps[step.tensor].reason = step.to == result.steps[step.tensor].from ? "kept" : "budget"
    }
    return result
  }

  private struct Rung {
    let format: BlockFormat
    let bytes: Int
    let loss: Double
  }

  /// The formats of a matrix worth having: larger ones lose less, and less per byte with every step.
  private static func ladder(of step: QuantizationPlan.Step, in model: Model, formats: [BlockFormat]) -> [Rung] {
    guard step.shape.dimensions.count > 1, step.from.kind != .integer,
      let stored = step.from.byteCount(elements: step.shape.columns)
    else { return [] }
    let weight = weight(of: step.name.text, in: model) * Double(step.shape.elementCount)
    var rungs = Self.errors.compactMap { entry -> Rung? in
      guard formats.contains(entry.format), let row = entry.format.byteCount(elements: step.shape.columns), row < stored
      else { return nil }
      return Rung(format: entry.format, bytes: row * step.shape.rows, loss: entry.error * weight)
    }
    rungs.append(Rung(format: step.from, bytes: stored * step.shape.rows, loss: 0))
    rungs.sort { ($0.bytes, $0.loss) < ($1.bytes, $1.loss) }
    // The lower convex hull of loss over bytes.
    var hull: [Rung] = []
    for rung in rungs {
      if let last = hull.last, rung.loss >= last.loss || rung.bytes == last.bytes { continue }
      while hull.count > 1,
        Self.slope(hull[hull.count - 2], hull[hull.count - 1]) <= Self.slope(hull[hull.count - 1], rung)
      {
        hull.removeLast()
      }
      hull.append(rung)
    }
    return hull
  }

  private static func slope(_ a: Rung, _ b: Rung) -> Double { (a.loss - b.loss) / Double(b.bytes - a.bytes) }

  /// How much an error in a matrix is known to matter, by its place: what llama.cpp's mixtures give more bits to.
  private static func weight(of name: String, in model: Model) -> Double {
    if name == "token_embd.weight" { return model["output.weight"] == nil ? 1 : 0.3 }
    if name == "output.weight" { return 1 }
    let parts = name.split(separator: ".")
    let layers = model.hyperparameters.integer("block_count") ?? 0
    let layer = parts.count > 2 ? Int(parts[1]) ?? layers / 2 : layers / 2
    let atEnds = layer < layers / 8 || layer >= layers - layers / 8 ? 1.5 : 1
    let role: Double =
      switch parts.count > 2 ? parts[2] : "" {
      case "attn_v": 4
      case "ffn_down", "ffn_down_exps", "ffn_down_shexp": 2
      case "attn_output", "attn_k", "attn_qkv": 1.5
      default: 1
      }
    return role * atEnds
  }
}
