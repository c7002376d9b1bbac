namespace PureQLora.Kernels;

/// <summary>What a kernel does with a result: an <c>enum</c> in all but name, since a kernel's arguments are numbers.</summary>
public static class TargetMode
{
    /// <summary>It is not wanted; the view is a stand-in.</summary>
    public const int None = 0;

    /// <summary>Written over what is there.</summary>
    public const int Write = 1;

    /// <summary>Added to what is there.</summary>
    public const int Add = 2;
}
