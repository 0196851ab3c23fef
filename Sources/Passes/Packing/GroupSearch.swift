import IR

/// Scales and codes of one group of weights that share a scale, searched by squared error under the scale as it will be
/// stored. Plain Swift: the same bits everywhere.
struct GroupSearch {
  /// Rounds a scale to its stored type.
  let stored: (Float) -> Float

  init(_ format: BlockFormat) {
    stored =
      switch format {
      case .f16: { Float(Float16(min(max($0, -65504), 65504))) }
      case .bf16: Self.brain
      default: { $0 }
      }
  }

  struct Found {
    var scale: Float
    var zero: Float
    var error: Float
  }

  /// x ≈ scale · code, −levels ≤ code < levels, scale > 0.
  func symmetric(_ x: Span<Float>, weights: Span<Float>, levels: Float, places: [Float]) -> Found {
    let largest = Self.largest(x)
    guard largest > 0 else { return Found(scale: stored(1), zero: 0, error: 0) }
    var best = Found(scale: stored(largest / (levels - 1)), zero: 0, error: .infinity)
    for place in places {
      _ = measure(x, weights, levels, stored(largest / place), &best)
    }
    var refit = measure(x, weights, levels, best.scale, &best)
    for _ in 0..<2 { refit = measure(x, weights, levels, stored(refit), &best) }
    return best
  }

  /// Measures a stored scale and returns the one that fits its codes best.
  private func measure(
    _ x: Span<Float>, _ weights: Span<Float>, _ levels: Float, _ scale: Float, _ best: inout Found
  ) -> Float {
    guard scale > 0, scale.isFinite else { return best.scale }
    let inverse = 1 / scale
    var (error, xq, qq): (Float, Float, Float) = (0, 0, 0)
    for index in x.indices {
      let weight = weights[index]
      let q = Self.rounded(min(max(x[index] * inverse, -levels), levels - 1))
      let e = x[index] - q * scale
      error += weight * e * e
      xq += weight * q * x[index]
      qq += weight * q * q
    }
    if error < best.error { best = Found(scale: scale, zero: 0, error: error) }
    return qq > 0 ? xq / qq : scale
  }

  /// x ≈ scale · (code − zero), 0 ≤ code, zero ≤ most, both whole.
  func affine(_ x: Span<Float>, weights: Span<Float>, most: Float) -> Found {
    var (low, high): (Float, Float) = (0, 0)
    for index in x.indices {
      low = min(low, x[index])
      high = max(high, x[index])
    }
    guard high > low else { return Found(scale: stored(1), zero: 0, error: 0) }
    var best = Found(scale: stored(1), zero: 0, error: .infinity)
    for step in 0..<10 {
      let scale = stored((high - low) * (1 - 0.03 * Float(step)) / most)
      guard scale > 0, scale.isFinite else { continue }
      let inverse = 1 / scale
      let zero = Self.rounded(min(max(-low * (1 - 0.03 * Float(step)) * inverse, 0), most))
      var error: Float = 0
      for index in x.indices {
        let q = min(max(Self.rounded(x[index] * inverse) + zero, 0), most)
        let e = x[index] - (q - zero) * scale
        error += weights[index] * e * e
      }
      if error < best.error { best = Found(scale: scale, zero: zero, error: error) }
    }
    return best
  }

  /// x ≈ scale · normalFloats[code].
  func normalFloat(_ x: Span<Float>) -> Found {
    let largest = Self.largest(x)
    guard largest > 0 else { return Found(scale: 0, zero: 0, error: 0) }
    var best = Found(scale: largest, zero: 0, error: .infinity)
    var scale = largest
    for _ in 0..<3 {
      let inverse = 1 / scale
      var (error, xq, qq): (Float, Float, Float) = (0, 0, 0)
      for index in x.indices {
        let q = Self.normalFloats[Self.normalFloatCode(x[index] * inverse)]
        let e = x[index] - q * scale
        error += e * e
        xq += q * x[index]
        qq += q * q
      }
      if error < best.error { best = Found(scale: scale, zero: 0, error: error) }
      guard qq > 0, (xq / qq).isFinite, xq > 0 else { break }
      scale = xq / qq
    }
    return best
  }

  /// The quantiles of a normal distribution that QLoRA defines.
  static let normalFloats: [Float] = [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
  ]
  private static let boundaries: [Float] = zip(normalFloats, normalFloats.dropFirst()).map { ($0 + $1) / 2 }

  static func normalFloatCode(_ t: Float) -> Int {
    // Four comparisons find the place among fifteen boundaries.
    var code = t > boundaries[7] ? 8 : 0
    if t > boundaries[code + 3] { code += 4 }
    if t > boundaries[code + 1] { code += 2 }
    if t > boundaries[code] { code += 1 }
    return code
  }

  /// To nearest, ties to even, for |x| < 2^22, without a call.
  static func rounded(_ x: Float) -> Float { (x + 12_582_912) - 12_582_912 }

  private static func largest(_ x: Span<Float>) -> Float {
    var largest: Float = 0
    for index in x.indices { largest = max(largest, abs(x[index])) }
    return largest
  }

  private static func brain(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }
}
