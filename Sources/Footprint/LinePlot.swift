internal import Glibc

/// Lines over a common axis, drawn as SVG or as text. Values are bytes.
public struct LinePlot: Sendable {
  public struct Series: Sendable {
    public let name: String
    /// Ascending in x.
    public let points: [(x: Double, y: Double)]

    public init(name: String, points: [(x: Double, y: Double)]) {
      self.name = name
      self.points = points
    }
  }

  /// A horizontal line: a device's memory.
  public struct Mark: Sendable {
    public let name: String
    public let y: Double

    public init(name: String, y: Double) {
      self.name = name
      self.y = y
    }
  }

  public let title: String
  public let axis: String
  public let series: [Series]
  public let marks: [Mark]
  /// Steps of the axis double, as contexts do.
  public let isLogarithmic: Bool

  public init(title: String, axis: String, series: [Series], marks: [Mark] = [], isLogarithmic: Bool) {
    self.title = title
    self.axis = axis
    self.series = series
    self.marks = marks
    self.isLogarithmic = isLogarithmic
  }

  /// Memory against context, doubling from 512 to the longest the model was trained for (or what was asked).
  public static func overContexts(
    _ model: ModelShape, _ request: FootprintRequest, title: String, marks: [Mark] = []
  ) throws(FootprintError) -> LinePlot {
    let longest = max(model.hyperparameters.integer("context_length") ?? 0, request.context, 1024)
    var contexts: [Int] = []
    var context = min(512, longest)
    while context < longest {
      contexts.append(context)
      context *= 2
    }
    contexts.append(longest)
    var parts: [(name: String, points: [(x: Double, y: Double)])] = [
      ("weights", []), ("weights and KV cache", []), ("total", []),
    ]
    for context in contexts {
      var trial = request
      trial.context = context
      trial.promptTokens = nil
      let footprint = try Footprint(of: model, for: trial)
      let x = Double(context)
      parts[0].points.append((x, Double(footprint.weightsBytes)))
      parts[1].points.append((x, Double(footprint.weightsBytes + footprint.kvCacheBytes)))
      parts[2].points.append((x, Double(footprint.totalBytes)))
    }
    return LinePlot(
      title: title, axis: "context, tokens", series: parts.map { Series(name: $0.name, points: $0.points) },
      marks: marks,
      isLogarithmic: true)
  }

  /// Memory against bits per weight: the same model in several forms, at one context.
  public static func overBits(
    _ models: [ModelShape], _ request: FootprintRequest, title: String, marks: [Mark] = []
  ) throws(FootprintError) -> LinePlot {
    var weights: [(x: Double, y: Double)] = []
    var totals: [(x: Double, y: Double)] = []
    for model in models.sorted(by: { $0.bitsPerWeight < $1.bitsPerWeight }) {
      let footprint = try Footprint(of: model, for: request)
      let bits = model.bitsPerWeight
      guard weights.last.map({ bits - $0.x > 0.01 }) ?? true else { continue }
      weights.append((bits, Double(footprint.weightsBytes)))
      totals.append((bits, Double(footprint.totalBytes)))
    }
    return LinePlot(
      title: title, axis: "bits per weight",
      series: [Series(name: "weights", points: weights), Series(name: "total", points: totals)], marks: marks,
      isLogarithmic: false)
  }

  /// Values of y that get a line: from zero to above everything, at most six steps of 1, 2, 2.5 or 5 times a power of ten.
  var levels: [Double] {
    let values = series.flatMap { $0.points.map(\.y) } + marks.map(\.y)
    let most = max(values.max() ?? 1, 1) * 1.02
    let power = pow(10, (log10(most / 6)).rounded(.down))
    let step = [1, 2, 2.5, 5, 10].map { $0 * power }.first { $0 * 6 >= most } ?? most
    return (0...Int((most / step).rounded(.up))).map { Double($0) * step }
  }

  var top: Double { levels.last ?? 1 }

  var span: (low: Double, high: Double) {
    let values = series.flatMap { $0.points.map(\.x) }
    let low = values.min() ?? 1
    let high = values.max() ?? 2
    return high > low ? (low, high) : (low, low + 1)
  }

  /// Where a value lies between the ends, 0 to 1.
  func position(x: Double) -> Double {
    let (low, high) = span
    return isLogarithmic && low > 0 ? log2(x / low) / log2(high / low) : (x - low) / (high - low)
  }
}

/// Three or so significant digits with a decimal unit: `1.53 GB`.
func decimalBytes(_ bytes: Double) -> String {
  var value = bytes
  for unit in ["B", "kB", "MB", "GB", "TB"] {
    if value < 999.5 || unit == "TB" {
      return decimal(value, value < 9.995 && unit != "B" ? 2 : value < 99.95 && unit != "B" ? 1 : 0) + " " + unit
    }
    value /= 1000
  }
  return decimal(value, 0) + " TB"
}

/// Digits after the point, without a library.
func decimal(_ value: Double, _ digits: Int) -> String {
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (abs(value) * scale).rounded()
  guard scaled < 1e15 else { return "\(value)" }
  let text = String(Int(scaled))
  let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
  let sign = value < 0 && scaled > 0 ? "-" : ""
  return sign + (digits == 0 ? padded : "\(padded.dropLast(digits)).\(padded.suffix(digits))")
}

/// `1,234,567`
func grouped(_ count: Int) -> String {
  var digits = String(count.magnitude)
  var at = digits.endIndex
  while digits.distance(from: digits.startIndex, to: at) > 3 {
    at = digits.index(at, offsetBy: -3)
    digits.insert(",", at: at)
  }
  return (count < 0 ? "-" : "") + digits
}
