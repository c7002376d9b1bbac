using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Working memory of one chunk of rows, kept by the thread: new pages cost more than what is computed in them.</summary>
internal readonly ref struct Borrowed
{
    [ThreadStatic]
    private static Stack<double[]>? _kept;

    private readonly double[] _array;

    private Borrowed(double[] array) => _array = array;

    /// <summary>At least so many doubles of undefined content; nested loans are given back in reverse.</summary>
    public static Borrowed Rent(int length)
    {
        _kept ??= new Stack<double[]>();
        return new(_kept.TryPop(out double[]? kept) && kept.Length >= length ? kept : LargePages.AllocateArray<double>(length));
    }

    /// <summary>The memory; may be longer than asked for.</summary>
    public double[] Array => _array;

    /// <summary>Gives it back.</summary>
    public void Dispose() => _kept!.Push(_array);
}
