using System.Buffers;

namespace PureQLora.Models;

/// <summary>Working memory of one chunk of rows: borrowed, because new pages cost more than what is computed in them.</summary>
internal readonly ref struct Borrowed
{
    private readonly double[] _array;

    private Borrowed(double[] array) => _array = array;

    /// <summary>At least so many doubles of undefined content.</summary>
    public static Borrowed Rent(int length) => new(ArrayPool<double>.Shared.Rent(length));

    /// <summary>The memory; may be longer than asked for.</summary>
    public double[] Array => _array;

    /// <summary>Gives it back.</summary>
    public void Dispose() => ArrayPool<double>.Shared.Return(_array);
}
