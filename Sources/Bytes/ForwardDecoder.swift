/// Expands compressed bytes piece by piece, forwards; it can only go back to places from which it knows how to begin.
public protocol ForwardDecoder: Sendable {
  /// Of the byte that `next` begins with, in the expanded bytes.
  var position: Int { get }
  /// The bytes that follow, at most some hundred thousand; none at the end.
  mutating func next() throws(FileError) -> [UInt8]
  /// Moves to a place at or before `offset`: stays where that is nearest, else goes to the nearest it can begin from.
  mutating func approach(_ offset: Int)
  /// Goes to the beginning and gives back what it held.
  mutating func rewind()
}
