internal import Catalog

/// The devices under Formats/Devices, and finding one by what people call it.
public struct DeviceCatalog: Sendable {
  public let devices: [Device]

  /// Parses the embedded tables. An error here is a mistake in Formats/, which the tests read too.
  public init() throws(FootprintError) {
    var devices: [Device] = []
    for file in FormatFiles.all(in: "Devices/") {
      let kind = String(file.path.dropFirst("Devices/".count).prefix { $0 != "." })
      let path = "Formats/\(file.path)"
      for row in try CommaSeparated(file.bytes, file: path).rows {
        devices.append(try Device(row, kind: kind, file: path))
      }
    }
    self.devices = devices
  }

  /// The device that a name means: case, spaces, dashes and the maker's name do not matter, and what tells models of one
  /// name apart may be left out (`rtx3060` is the RTX 3060 12GB, the first of its name).
  /// - Throws: `unsupported` with the nearest names.
  public func device(named name: String) throws(FootprintError) -> Device {
    let wanted = Self.words(name)
    if !wanted.isEmpty {
      let candidates = devices.compactMap { device -> (device: Device, extra: Int)? in
        Self.extraWords(in: Self.words(device.name), beyond: wanted).map { (device, $0) }
      }
      // The first of those with least to add: min keeps the earlier of equals.
      if let best = candidates.min(by: { $0.extra < $1.extra }) { return best.device }
    }
    throw .unknownName(what: "a device called '\(name)'", nearest: nearest(to: name))
  }

  /// Letters and digits apart, in lower case, without the names of makers.
  private static func words(_ name: String) -> [String] {
    var words: [String] = []
    var previous: Bool?
    for character in name.lowercased() {
      guard character.isASCII, character.isLetter || character.isNumber else {
        previous = nil
        continue
      }
      let isNumber = character.isNumber
      if previous == isNumber, let last = words.indices.last {
        words[last].append(character)
      } else {
        words.append(String(character))
      }
      previous = isNumber
    }
    return words.filter { !makers.contains($0) }
  }

  private static let makers: Set<String> = [
    "nvidia", "geforce", "amd", "radeon", "intel", "apple", "google", "huawei", "tesla", "instinct", "gpu", "graphics",
    "quadro",
  ]

  /// How many words the device's name has that were not asked for, its memory's size not counted; nil when one asked for
  /// is not there.
  private static func extraWords(in name: [String], beyond wanted: [String]) -> Int? {
    var rest = name
    for word in wanted {
      let isNumber = word.first?.isNumber == true
      // `80g` means 80GB.
      guard let position = rest.firstIndex(where: { $0 == word || (!isNumber && $0 == "gb" && word == "g") }) else {
        return nil
      }
      rest.remove(at: position)
    }
    return rest.enumerated().reduce(0) { count, entry in
      let isMemory = entry.element == "gb" || (entry.offset + 1 < rest.count && rest[entry.offset + 1] == "gb")
      return isMemory ? count : count + 1
    }
  }

  /// Up to five names at the least edit distance.
  private func nearest(to name: String) -> [String] {
    let wanted = Array(Self.words(name).joined().utf8)
    let distances = devices.enumerated().map { position, device in
      let words = Self.words(device.name)
      // People leave out the memory's size.
      let short = words.enumerated().filter { entry in
        entry.element != "gb" && !(entry.offset + 1 < words.count && words[entry.offset + 1] == "gb")
      }
      let spellings = [words.joined(), short.map(\.element).joined()]
      let distance = spellings.map { editDistance(Array($0.utf8), wanted) }.min() ?? .max
      return (name: device.name, distance: distance, position: position)
    }
    return distances.sorted { ($0.distance, $0.position) < ($1.distance, $1.position) }.prefix(5).map(\.name)
  }
}

/// Insertions, deletions and replacements from one to the other (Levenshtein). Costs the product of the lengths.
package func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var row = Array(0...b.count)
  for (i, byte) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in b.enumerated() {
      let cost = byte == other ? diagonal : diagonal + 1
      diagonal = row[j + 1]
      row[j + 1] = min(cost, min(row[j], row[j + 1]) + 1)
    }
  }
  return row[b.count]
}
