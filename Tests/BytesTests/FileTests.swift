import Bytes
import Glibc
import SystemPackage
import Testing

@Suite struct FileTests {
  /// A fresh directory under the system's temporary one, removed at the end.
  final class Scratch {
    let path: FilePath
    init() {
      var template = Array("/tmp/quern-test-XXXXXX".utf8CString)
      path = unsafe FilePath(String(cString: mkdtemp(&template)))
    }
    deinit { _ = unsafe system("rm -rf \(path)") }
    func names() -> [String] { FileSystem.names(in: path) }
  }

  @Test func nothingAppearsBeforeCommit() throws {
    let scratch = Scratch()
    let target = scratch.path.appending("out")
    do {
      let file = try AtomicFile(target, overwrites: false)
      try file.write([1, 2, 3], at: 2)
      #expect(!scratch.names().contains("out"))
    }
    #expect(scratch.names() == [])
    let file = try AtomicFile(target, overwrites: false)
    try file.write([1, 2, 3], at: 2)
    try file.commit()
    #expect(try InputFile(target).read(at: 0, count: 5) == [0, 0, 1, 2, 3])
    #expect(scratch.names() == ["out"])
  }

  @Test func overwritingIsAskedFor() throws {
    let scratch = Scratch()
    let target = scratch.path.appending("out")
    try AtomicFile(target, overwrites: false).commit()
    #expect(throws: FileError.exists(path: target)) { try AtomicFile(target, overwrites: false) }
    let input = try InputFile(target)
    let file = try AtomicFile(target, overwrites: true)
    try file.write([7], at: 0)
    try file.commit()
    #expect(input.byteCount == 0)
    #expect(try InputFile(target).read(at: 0, count: 1) == [7])
    #expect(scratch.names() == ["out"])
  }

  @Test("files that belong together appear together, and those before one that cannot are taken back")
  func commitTogether() throws {
    let scratch = Scratch()
    let names = ["a", "b", "c"].map { scratch.path.appending($0) }
    let files = try names.map { try AtomicFile($0, overwrites: false) }
    try AtomicFile(names[2], overwrites: false).commit()
    #expect(throws: FileError.exists(path: names[2])) { try AtomicFile.commit(files) }
    #expect(scratch.names() == ["c"])
  }

  @Test("only a regular file is ever replaced")
  func devicesStay() throws {
    let scratch = Scratch()
    let pipe = scratch.path.appending("pipe")
    unsafe _ = mkfifo(pipe.string, 0o600)
    #expect(throws: FileError.notARegularFile(path: pipe)) { try AtomicFile(pipe, overwrites: true) }
    #expect(throws: FileError.notARegularFile(path: scratch.path)) { try AtomicFile(scratch.path, overwrites: true) }
  }

  @Test func directoryIsWholeOrAbsent() throws {
    let scratch = Scratch()
    let target = scratch.path.appending("model")
    do {
      let folder = try AtomicDirectory(target)
      try folder.file(named: "a").write([1], at: 0)
      #expect(scratch.names() == [])
    }
    #expect(scratch.names() == [])
    let folder = try AtomicDirectory(target)
    try folder.commit([folder.file(named: "a")])
    #expect(scratch.names() == ["model"])
    #expect(FileSystem.names(in: target) == ["a"])
    #expect(throws: FileError.exists(path: target)) { try AtomicDirectory(target) }
  }

  @Test("a directory is replaced in one step; only what is stale goes with the old one")
  func directoryIsReplaced() throws {
    let scratch = Scratch()
    let target = scratch.path.appending("model")
    let old = try AtomicDirectory(target)
    try old.commit(["weights", "notes", "config"].map { try old.file(named: $0) })
    let new = try AtomicDirectory(target, overwrites: true) { $0 == "weights" }
    let config = try new.file(named: "config")
    try config.write([7], at: 0)
    try new.commit([config])
    #expect(scratch.names() == ["model"])
    #expect(FileSystem.names(in: target) == ["config", "notes"])
    #expect(FileSystem.byteCount(of: target.appending("config")) == 1)
    #expect(throws: FileError.notADirectory(path: target.appending("notes"))) {
      try AtomicDirectory(target.appending("notes"), overwrites: true)
    }
  }

  @Test func readsPastTheEndAreErrors() throws {
    let scratch = Scratch()
    let path = scratch.path.appending("in")
    let output = try AtomicFile(path, overwrites: false)
    try output.write(Array(0..<100), at: 0)
    try output.commit()
    let file = try InputFile(path)
    #expect(throws: FileError.truncated(path: path, offset: 99, wanted: 2, fileByteCount: 100)) {
      try file.read(at: 99, count: 2)
    }
    var cursor = FileCursor(file, windowByteCount: 8)
    #expect(try cursor.readInteger(UInt32.self) == 0x0302_0100)
    try cursor.skip(10)
    #expect(try cursor.readBytes(20) == Array(14..<34))
    #expect(try cursor.readInteger(UInt8.self) == 34)
    #expect(throws: FileError.self) { try cursor.skip(70) }
    #expect(throws: FileError.notARegularFile(path: scratch.path)) { try InputFile(scratch.path) }
  }
}
