import Codecs
import Footprint
import IR
import Kernels
import Passes

/// Chooses a format for every matrix so that a model fits a budget and loses least.
///
/// Every matrix starts in the smallest format its rows fill. Then the steps to larger ones are taken in the order of what
/// they mend per byte, as long as the whole fits: error of the format (measured over a layer of SmolLM2, relative to the
/// weights' square) × weights × how much the matrix's place in the block is known to matter. No text is needed for that;
/// measured sensitivities would only replace `weight(of:layers:)`. Steps are nested, so a larger budget never gives less.
struct BudgetAllocator {
  let model: Model
  /// What the program can write and the runtime multiplies directly.
  let formats: [BlockFormat]

  /// Mean squared error of our encoders, relative.
  private static let errors: [(format: BlockFormat, error: Double)] = [
    (.q2_K, 0.0552), (.q3_K, 0.0173), (.iq4_XS, 0.00449), (.q4_K, 0.0040), (.q4_0, 0.00547), (.iq4_NL, 0.00441),
    (.q4_1, 0.00391), (.q5_0, 0.00136), (.q5_K, 0.000996), (.q5_1, 0.000918), (.q6_K, 0.000239), (.q8_0, 2.64e-5),
    (.bf16, 2.7e-6), (.f16, 4e-8),
  ]

  /// - Parameter runtime: whose integer kernels count; our own multiplies only the formats with blocks of 32.
  init(_ model: Model, runtime: String, kernels: Kernels) {
    self.model = model
    formats = Self.errors.map(\.format).filter { format in
      // Below four bits there is nothing else.
      let isDirect = format.elementsPerBlock < 256 && format != .iq4_NL || [.q2_K, .q3_K].contains(format)
      return (isDirect || runtime != "quern") && Codec.for(format, kernels: kernels)?.canEncode == true
    }
  }

  /// A step from one format of a matrix to a larger one.
  private struct Step {
    let tensor: Int
    let to: BlockFormat
    let bytes: Int
    let gainPerByte: Double
  }

  /// The plan that fits and keeps most; the smallest there is when not even that fits.
  /// - Parameter headroom: of a plan: what it leaves of the budget, below zero when it does not fit.
  func plan(headroom: (QuantizationPlan) throws -> Int) throws -> QuantizationPlan {
    var least = QuantizationPlan.widenedVectors(of: model)
    var steps: [Step] = []
    for position in least.steps.indices {
      let ladder = ladder(of: least.steps[position])
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
    guard try headroom(least) >= 0 else { return least }
    // Gains fall along a ladder, so a matrix's steps stay in their order.
    steps.sort { ($0.gainPerByte, $1.tensor) > ($1.gainPerByte, $0.tensor) }
    var taken = 0
    var refused = steps.count + 1
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
  private func ladder(of step: QuantizationPlan.Step) -> [Rung] {
    guard step.shape.dimensions.count > 1, step.from.kind != .integer,
      let stored = step.from.byteCount(elements: step.shape.columns)
    else { return [] }
    let weight = weight(of: step.name.text) * Double(step.shape.elementCount)
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
  private func weight(of name: String) -> Double {
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
