/// The generated tables, read once.
struct NormalizationTables: Sendable {
  var decompositions: [UInt32: (UInt32, UInt32?)] = [:]
  var compositions: [UInt64: UInt32] = [:]
  /// All of the decomposition, where NFKD's differs from NFD's.
  var compatibility: [UInt32: [UInt32]] = [:]
  var combiningClasses: [UInt32: UInt8] = [:]

  static let shared = NormalizationTables()

  private init() {
    for entry in UnicodeData.decompositions.split(separator: " ") {
      let composes = entry.contains("=")
      let parts = entry.split { $0 == "=" || $0 == "~" || $0 == "+" }.map { UInt32($0, radix: 16) ?? 0 }
      decompositions[parts[0]] = (parts[1], parts.count > 2 ? parts[2] : nil)
      if composes, parts.count > 2 { compositions[UInt64(parts[1]) << 32 | UInt64(parts[2])] = parts[0] }
    }
    for entry in UnicodeData.compatibility.split(separator: " ") {
      let parts = entry.split { $0 == "=" || $0 == "+" }.map { UInt32($0, radix: 16) ?? 0 }
      compatibility[parts[0]] = Array(parts[1...])
    }
    for entry in UnicodeData.combiningClasses.split(separator: " ") {
      let parts = entry.split { $0 == "-" || $0 == ":" }
      guard let first = UInt32(parts[0], radix: 16), let last = UInt32(parts[1], radix: 16) else { continue }
      for scalar in first...last { combiningClasses[scalar] = UInt8(parts[2]) }
    }
  }
}
