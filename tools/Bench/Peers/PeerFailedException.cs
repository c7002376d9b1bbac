namespace PureQLora.Tools.Bench;

/// <summary>A peer is there but does not work; its figures are left out.</summary>
/// <param name="message">What it said.</param>
internal sealed class PeerFailedException(string message) : Exception(message);
