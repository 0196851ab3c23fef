import Glibc

/// Numbers for people.
enum Format {
  /// `1.53 GB`: decimal units, three significant digits.
  static func bytes(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
      if abs(value) < 999.5 || unit == "TB" {
        return unit == "B"
          ? "\(count) B" : "\(fixed(value, abs(value) < 9.995 ? 2 : abs(value) < 99.95 ? 1 : 0)) \(unit)"
      }
      value /= 1000
    }
    return "\(count) B"
  }

  /// `12.0 GiB`: binary units, as memory is sold.
  static func binaryBytes(_ count: Int) -> String {
    let isLarge = count >= 1 << 30
    return "\(fixed(Double(count) / Double(isLarge ? 1 << 30 : 1 << 20), 1)) \(isLarge ? "GiB" : "MiB")"
  }

  static func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    let scale = pow(10, Double(digits))
    let scaled = (abs(value) * scale).rounded(.toNearestOrEven)
    guard scaled < 1e15 else { return "\(value)" }
    let whole = Int(scaled)
    let sign = value < 0 && whole != 0 ? "-" : ""
    guard digits > 0 else { return sign + String(whole) }
    let text = String(whole)
    let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
    return sign + padded.dropLast(digits) + "." + padded.suffix(digits)
  }

  /// Three or so significant digits whatever the size.
  static func short(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : fixed(value, 0) }
    let digits = 2 - Int(log10(abs(value)).rounded(.down))
    return digits > 8 ? scientific(value) : fixed(value, max(0, digits))
  }

  static func scientific(_ value: Double) -> String {
    let exponent = Int(log10(abs(value)).rounded(.down))
    return "\(fixed(value / pow(10, Double(exponent)), 2))e\(exponent)"
  }

  static func percent(_ share: Double, _ digits: Int = 2) -> String { fixed(share * 100, digits) + " %" }

  static func duration(_ seconds: Double) -> String {
    let whole = Int(min(max(seconds, 0), 1e9).rounded(.up))
    return whole < 60
      ? "\(whole) s" : whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
  }

  /// Broken between words into lines that fit the terminal, all but the first indented.
  static func wrapped(_ text: String, indent: Int = 0, width: Int = Terminal.width) -> [String] {
    let leading = String(text.prefix { $0 == " " })
    let margin = leading + String(repeating: " ", count: indent)
    var lines: [String] = []
    var line = leading
    for word in text.split(separator: " ") {
      let isFirst = line.allSatisfy { $0 == " " }
      if !isFirst, line.count + 1 + word.count > width {
        lines.append(line)
        line = margin + word
      } else {
        line += (isFirst ? "" : " ") + word
      }
    }
    return lines + [line]
  }

  /// `1,234,567`
  static func grouped(_ count: Int) -> String {
    var result = ""
    for (position, digit) in String(abs(count)).reversed().enumerated() {
      if position > 0, position % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return (count < 0 ? "-" : "") + String(result.reversed())
  }

  /// `134.5M`
  static func count(_ count: Int) -> String {
    let value = Double(count)
    return count < 10_000
      ? grouped(count)
      : value < 1e6
        ? fixed(value / 1e3, 1) + "K"
        : value < 1e9
          ? fixed(value / 1e6, 1) + "M" : value < 1e12 ? fixed(value / 1e9, 2) + "B" : fixed(value / 1e12, 2) + "T"
  }
}
