import Archives
import Bytes
import SystemPackage

/// The program beside a file of parameters, read for the names that the file itself does not hold.
enum PaddleProgram {
  /// In alphabetical order, which is the order of the file; none where that cannot be told.
  static func names(beside path: FilePath, limits: Limits) -> [ByteString] {
    guard let stem = path.stem else { return [] }
    let folder = path.removingLastComponent()
    if let file = try? InputFile(folder.appending(stem + ".pdmodel")) {
      return names(of: file, limits: limits).sorted()
    }
    guard let text = try? InputFile.contents(of: folder.appending(stem + ".json"), limit: limits.headerByteCount),
      let program = try? JSONValue.parse(text, limits: limits)
    else { return [] }
    return names(of: program).sorted()
  }

  /// Since Paddle 3: {"program": {"regions": [{"blocks": [{"ops": [{"#": "p", "A": […, name]}, …]}]}]}}.
  private static func names(of program: JSONValue) -> [ByteString] {
    func items(_ values: [JSONValue], _ key: ByteString) -> [JSONValue] { values.flatMap { $0[key]?.array ?? [] } }
    let operations = items(items(items([program["program"] ?? .null], "regions"), "blocks"), "ops")
    return operations.filter { $0["#"]?.string == "p" }.compactMap { $0["A"]?.array?.last?.string }
  }

  /// Before: a ProgramDesc, whose persistent variables but for the channels in and out are the parameters.
  private static func names(of file: InputFile, limits: Limits) -> [ByteString] {
    var names: [ByteString] = []
    var program = ProtobufReader(file, range: 0..<file.byteCount)
    while let block = try? program.next() {
      guard block.number == 1, case .bytes(let range) = block.value else { continue }
      var fields = ProtobufReader(file, range: range)
      while let variable = try? fields.next() {
        guard variable.number == 3, case .bytes(let range) = variable.value, names.count < limits.tensorCount else {
          continue
        }
        var name: ByteString?
        var isPersistent = false
        var values = ProtobufReader(file, range: range)
        while let value = try? values.next() {
          if value.number == 1, case .bytes(let text) = value.value, text.count <= limits.nameByteCount {
            name = (try? file.read(at: text.lowerBound, count: text.count)).map { ByteString(bytes: $0) }
          }
          if value.number == 3, value.value == .varint(1) { isPersistent = true }
        }
        if isPersistent, let name, name != "feed", name != "fetch" { names.append(name) }
      }
    }
    return names
  }
}
