public import Bytes
public import SystemPackage

/// The repository's Fixtures folder.
public let fixtures = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
  .appending("Fixtures")

/// A bad file and the error it must raise; see the generators.
public struct ExpectedError: Sendable, CustomStringConvertible {
  public let path: FilePath
  /// The rule's number; with its prefix where several specifications are concerned: `ZIP-2`.
  public let rule: String
  public let offset: Int
  /// Of the tensor or key.
  public let name: ByteString

  public var description: String { path.lastComponent?.string ?? "" }

  /// The rows of `bad/expected.json` of a container.
  public static func rows(of container: String) -> [ExpectedError] {
    let folder = fixtures.appending(container).appending("bad")
    do {
      let text = try InputFile.contents(of: folder.appending("expected.json"), limit: 1 << 20)
      return (try JSONValue.parse(text).array ?? []).compactMap { row in
        guard let file = row["file"]?.string, let rule = row["rule"]?.string?.text ?? row["rule"]?.int.map(String.init),
          let offset = row["offset"]?.int,
          let name = row["name"]?.string
        else { return nil }
        return ExpectedError(path: folder.pushing(FilePath(file.text)), rule: rule, offset: offset, name: name)
      }
    } catch {
      return []
    }
  }
}
