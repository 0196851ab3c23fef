import Bytes
import ContainerTesting
import Foundation
import SystemPackage
import Testing

/// The program as a user runs it: the one that was built beside these tests.
struct Quern {
  struct Outcome {
    let status: Int32
    /// The program ended by a signal, which is in `status`.
    let wasKilled: Bool
    let output: String
    let errors: String

    var errorLines: [Substring] { errors.split(separator: "\n") }

    func json() throws -> JSONObject { try #require(try JSONValue.parse(Array(output.utf8)).object) }
  }

  static let path: FilePath = {
    let link = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return FilePath(link).removingLastComponent().appending("quern")
  }()

  /// Runs the program to its end.
  /// - Parameters:
  ///   - shell: what `/bin/sh` does instead, with the program and its arguments in `"$@"`.
  ///   - directory: where it runs.
  static func run(
    _ arguments: [String], in directory: FilePath? = nil, shell: String? = nil, environment: [String: String] = [:]
  ) throws -> Outcome {
    let scratch = Scratch()
    let process = try start(arguments, in: directory, shell: shell, environment: environment, logs: scratch.path)
    process.waitUntilExit()
    let text = { (name: String) in
      String(decoding: try InputFile.contents(of: scratch.path.appending(name), limit: 1 << 30), as: UTF8.self)
    }
    return Outcome(
      status: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      output: try text("out"),
      errors: try text("err"))
  }

  /// Starts the program, what it prints going to `logs`.
  static func start(
    _ arguments: [String], in directory: FilePath? = nil, shell: String? = nil, environment: [String: String] = [:],
    logs: FilePath
  ) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: shell == nil ? path.string : "/bin/sh")
    process.arguments = shell.map { ["-c", $0, path.string, path.string] + arguments } ?? arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory.string) }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }.filter {
      $0.key != "QUERN_ISA" || environment["QUERN_ISA"] != nil
    }
    for name in ["out", "err"] {
      _ = FileManager.default.createFile(atPath: logs.appending(name).string, contents: nil)
    }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: logs.appending("out").string))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: logs.appending("err").string))
    try process.run()
    return process
  }
}

/// Runs a command that must fail: with this status, one message (or `lines` of them) that holds all `words`, and nothing
/// that looks like a crash. `folder` must hold afterwards exactly what it held before.
func expectFailure(
  _ arguments: [String], status: Int32, words: [String], lines: Int = 1, keeping folder: FilePath? = nil,
  shell: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let before = folder.map(listing)
  let outcome = try Quern.run(arguments, shell: shell)
  let said = Comment(rawValue: "quern \(arguments.joined(separator: " ")) → \(outcome.status)\n\(outcome.errors)")
  #expect(!outcome.wasKilled && outcome.status == status, said, sourceLocation: sourceLocation)
  for word in words { #expect(outcome.errors.contains(word), "'\(word)' in: \(said)", sourceLocation: sourceLocation) }
  let messages = outcome.errorLines.filter { !$0.contains("--help' for more information") }
  #expect(messages.count == lines, said, sourceLocation: sourceLocation)
  #expect(messages.allSatisfy { $0.hasPrefix("quern: ") && $0.count > 12 }, said, sourceLocation: sourceLocation)
  #expect(outcome.output.isEmpty, said, sourceLocation: sourceLocation)
  for trace in ["Fatal error", "Backtrac", "crashed", "Illegal", ".swift:", "ConversionError", "FileError("] {
    #expect(!outcome.errors.contains(trace), said, sourceLocation: sourceLocation)
  }
  if let folder { #expect(listing(folder) == before, said, sourceLocation: sourceLocation) }
}

/// Every file below a folder, hidden ones too, with its size and time.
func listing(_ folder: FilePath) -> [String] {
  FileSystem.names(in: folder).flatMap { name -> [String] in
    let path = folder.appending(name)
    return FileSystem.isDirectory(path)
      ? ["\(name)/"] + listing(path).map { "\(name)/\($0)" } : ["\(name) \(FileSystem.byteCount(of: path) ?? -1)"]
  }
}
