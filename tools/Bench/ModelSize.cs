namespace PureQLora.Tools.Bench;

/// <summary>The model whose shapes a benchmark takes.</summary>
public enum ModelSize
{
    /// <summary>Hidden size 192, feed-forward 512, 6 heads of 32, vocabulary 768.</summary>
    Embedded,

    /// <summary>Hidden size 2048, feed-forward 5632, 32 heads and 4 key-value heads of 64, vocabulary 32 000.</summary>
    TinyLlama,
}
