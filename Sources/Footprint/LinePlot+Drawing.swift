extension LinePlot {
  /// A standalone SVG element, readable on light and dark pages.
  public func svg(width: Int = 720, height: Int = 400) -> String {
    let left = 80.0
    let right = Double(width) - 16
    let upper = 36.0
    let lower = Double(height) - 64
    let levels = self.levels
    let top = levels.last ?? 1
    let y = { (value: Double) in lower - value / top * (lower - upper) }
    let x = { (value: Double) in left + self.position(x: value) * (right - left) }
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" role=\"img\" "
        + "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"currentColor\">",
      "<title>\(escaped(title))</title>",
      "<text x=\"\(left)\" y=\"20\" font-size=\"14\" font-weight=\"600\">\(escaped(title))</text>",
    ]
    // What lies below a line belongs to it: later series contain the earlier ones.
    for (number, series) in series.enumerated().reversed() where series.points.count > 1 {
      let points = series.points.map { "\(decimal(x($0.x), 1)),\(decimal(y($0.y), 1))" }
      let ends = [series.points[series.points.count - 1].x, series.points[0].x].map { "\(decimal(x($0), 1)),\(lower)" }
      lines.append(
        "<polygon points=\"\((points + ends).joined(separator: " "))\" fill=\"\(Self.colors[number % Self.colors.count])\" fill-opacity=\"0.12\"/>"
      )
    }
    for value in levels {
      let at = decimal(y(value), 1)
      lines.append(
        "<line x1=\"\(left)\" x2=\"\(right)\" y1=\"\(at)\" y2=\"\(at)\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>"
      )
      lines.append("<text x=\"\(left - 6)\" y=\"\(at)\" text-anchor=\"end\" dy=\"4\">\(levelText(value))</text>")
    }
    var lastTick = -Double.infinity
    for value in ticks where x(value) - lastTick >= 44 || value == span.high {
      // The last one is always named; what it would cover was left out.
      guard value == span.high || x(span.high) - x(value) >= 44 else { continue }
      lastTick = x(value)
      lines.append(
        "<text x=\"\(decimal(x(value), 1))\" y=\"\(lower + 18)\" text-anchor=\"\(value == span.high ? "end" : "middle")\">\(tickText(value))</text>"
      )
    }
    lines.append("<text x=\"\(right)\" y=\"\(lower + 36)\" text-anchor=\"end\">\(escaped(axis))</text>")
    for mark in marks {
      let at = decimal(y(mark.y), 1)
      lines.append(
        "<line x1=\"\(left)\" x2=\"\(right)\" y1=\"\(at)\" y2=\"\(at)\" stroke=\"#c0392b\" stroke-dasharray=\"6 4\"/>")
    }
    for (number, series) in series.enumerated() {
      let color = Self.colors[number % Self.colors.count]
      let points = series.points.map { "\(decimal(x($0.x), 1)),\(decimal(y($0.y), 1))" }.joined(separator: " ")
      lines.append("<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\"/>")
      let at = left + Double(number) * (right - left) / Double(max(1, self.series.count))
      lines.append("<rect x=\"\(decimal(at, 1))\" y=\"\(height - 20)\" width=\"12\" height=\"12\" fill=\"\(color)\"/>")
      lines.append("<text x=\"\(decimal(at + 18, 1))\" y=\"\(height - 10)\">\(escaped(series.name))</text>")
    }
    // Last, so that no line hides a name.
    for mark in marks {
      let at = decimal(y(mark.y), 1)
      lines.append(
        "<text x=\"\(left + 4)\" y=\"\(at)\" dy=\"-4\" fill=\"#c0392b\" stroke=\"Canvas\" stroke-width=\"3\" paint-order=\"stroke\">\(escaped(mark.name))</text>"
      )
    }
    lines.append("</svg>")
    return lines.joined(separator: "\n")
  }

  /// Lines of text, `width` columns wide: a letter per series, later ones on top, dashes for marks.
  public func text(width: Int = 80, height: Int = 16) -> [String] {
    let labelWidth = 9
    let columns = max(16, width - labelWidth - 2)
    let rows = max(4, height)
    var grid = Array(repeating: Array(repeating: Character(" "), count: columns), count: rows)
    let levels = self.levels
    let top = levels.last ?? 1
    let row = { (value: Double) in min(rows - 1, max(0, rows - 1 - Int(value / top * Double(rows - 1) + 0.5))) }
    let labels = Dictionary(levels.map { (row($0), levelText($0)) }, uniquingKeysWith: { first, _ in first })
    for mark in marks { for column in 0..<columns { grid[row(mark.y)][column] = "-" } }
    for (number, series) in series.enumerated() {
      for column in 0..<columns {
        let at = Double(column) / Double(columns - 1)
        guard let value = self.value(of: series, at: at) else { continue }
        grid[row(value)][column] = Self.letters[number % Self.letters.count]
      }
    }
    var lines = title.count <= width ? [title] : [String(title.prefix(width - 1)) + "…"]
    for (number, cells) in grid.enumerated() {
      let label = labels[number] ?? ""
      lines.append(String(repeating: " ", count: max(0, labelWidth - label.count)) + label + " |" + String(cells))
    }
    let low = tickText(span.low)
    let high = tickText(span.high)
    let gap = String(repeating: " ", count: max(1, columns - low.count - high.count - axis.count - 1))
    lines.append(String(repeating: " ", count: labelWidth + 2) + low + gap + axis + " " + high)
    var names = series.enumerated().map { "\(Self.letters[$0 % Self.letters.count]) \($1.name)" }
    names += marks.map { "- \($0.name)" }
    let margin = String(repeating: " ", count: labelWidth + 2)
    var legend = margin
    for name in names {
      if legend.count > margin.count, legend.count + 3 + name.count > width {
        lines.append(legend)
        legend = margin
      }
      legend += (legend.count > margin.count ? "   " : "") + name
    }
    return lines + [legend]
  }

  private static let colors = ["#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b"]
  private static let letters: [Character] = ["w", "k", "t", "a", "b", "c"]

  /// Linear between the points on either side.
  private func value(of series: Series, at wanted: Double) -> Double? {
    var previous: (x: Double, y: Double)?
    for point in series.points {
      let at = position(x: point.x)
      if at >= wanted - 1e-9 {
        guard let (x, y) = previous, at > x else { return point.y }
        return y + (point.y - y) * (wanted - x) / (at - x)
      }
      previous = (at, point.y)
    }
    return nil
  }

  private var ticks: [Double] {
    let values = Set(series.flatMap { $0.points.map(\.x) }).sorted()
    let step = isLogarithmic ? max(1, (values.count + 7) / 8) : 1
    return values.enumerated().filter { $0.offset % step == 0 || $0.offset == values.count - 1 }.map(\.element)
  }

  /// `2.5 GB`, `20 GB`: no more digits than needed.
  private func levelText(_ bytes: Double) -> String {
    var value = bytes
    var unit = "B"
    for larger in ["kB", "MB", "GB", "TB"] where value >= 1000 {
      value /= 1000
      unit = larger
    }
    if value == 0 { return "0" }
    let text = decimal(value, 2)
    return String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed()) + " " + unit
  }

  private func tickText(_ value: Double) -> String {
    if value == value.rounded() {
      let whole = Int(value)
      return whole >= 1024 && whole % 1024 == 0 ? "\(whole / 1024)K" : "\(whole)"
    }
    return decimal(value, 2)
  }
}

/// For text inside HTML and SVG.
func escaped(_ text: String) -> String {
  var result = ""
  for character in text {
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    default: result.append(character)
    }
  }
  return result
}
