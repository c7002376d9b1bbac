namespace PureQLora.Kernels;

/// <summary>Which gradient of the key side of attention a kernel makes, as its constant.</summary>
public interface IKeySide
{
    /// <summary>That of the keys, else that of the values.</summary>
    static abstract bool IsKeys { get; }
}
