using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using ILGPU.Runtime;
using PureQLora.Kernels.Simulation.Engine;
using PureQLora.Kernels.Simulation.Memory;

namespace ILGPU;

/// <summary>A stretch of device memory, as a kernel sees it. Elements can only be reached inside a kernel.</summary>
/// <typeparam name="T">Element type.</typeparam>
/// <remarks>
/// ILGPU's indexer returns a reference; this one reads or writes, so that the simulation knows which. The compiler adds the place in the
/// source to every access.
/// </remarks>
[SuppressMessage("Design", "CA1000", Justification = "Static in ILGPU.")]
public readonly record struct ArrayView<T>
    where T : unmanaged
{
    // A number and not a reference, so that a view is unmanaged, as it is on a device.
    private readonly int _region;

    internal ArrayView(MemoryRegion region, long byteOffset, long length)
        : this(region.Id, byteOffset, length)
    {
    }

    private ArrayView(int region, long byteOffset, long length)
    {
        _region = region;
        ByteOffset = byteOffset;
        Length = length;
    }

    /// <summary>A view of nothing.</summary>
    public static ArrayView<T> Empty => default;

    /// <summary>Bytes of an element.</summary>
    public static int ElementSize => Unsafe.SizeOf<T>();

    /// <summary>Elements.</summary>
    public long Length { get; }

    /// <summary>Elements, as an int.</summary>
    /// <exception cref="OverflowException">There are more.</exception>
    public int IntLength => checked((int)Length);

    /// <summary>Elements, as an extent.</summary>
    public LongIndex1D Extent => Length;

    /// <summary>Elements, as an extent.</summary>
    public Index1D IntExtent => IntLength;

    /// <summary>Bytes.</summary>
    public long LengthInBytes => Length * ElementSize;

    /// <summary>Whether the view is of any memory.</summary>
    public bool IsValid => _region != 0;

    /// <summary>The first byte's place in the memory that the view is of.</summary>
    internal long ByteOffset { get; }

    /// <summary>The memory that the view is of; null once it has been given back, and for an empty view.</summary>
    internal MemoryRegion? Region => MemoryRegion.Find(_region);

    /// <summary>An element.</summary>
    /// <param name="index">From 0 to <see cref="Length"/> - 1; anything else is a fault.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public T this[int index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => SimulatedThread.Current.Read(this, index, file, line);
        set => SimulatedThread.Current.Write(this, index, value, file, line);
    }

    /// <inheritdoc cref="this[int, string, int]"/>
    public T this[long index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => SimulatedThread.Current.Read(this, index, file, line);
        set => SimulatedThread.Current.Write(this, index, value, file, line);
    }

    /// <inheritdoc cref="this[int, string, int]"/>
    public T this[Index1D index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => SimulatedThread.Current.Read(this, index.X, file, line);
        set => SimulatedThread.Current.Write(this, index.X, value, file, line);
    }

    /// <inheritdoc cref="this[int, string, int]"/>
    public T this[LongIndex1D index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0]
    {
        get => SimulatedThread.Current.Read(this, index.X, file, line);
        set => SimulatedThread.Current.Write(this, index.X, value, file, line);
    }

    /// <summary>The same view with its length in the type.</summary>
    public static implicit operator ArrayView1D<T, Stride1D.Dense>(ArrayView<T> view) => new(view);

    /// <summary>The view without its stride.</summary>
    public static implicit operator ArrayView<T>(ArrayView1D<T, Stride1D.Dense> view) => view.BaseView;

    /// <summary>From an element to the end.</summary>
    /// <param name="index">First element.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public ArrayView<T> SubView(long index, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        SubView(index, Length - index, file, line);

    /// <summary>Some elements.</summary>
    /// <param name="index">First element.</param>
    /// <param name="subViewLength">How many.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    public ArrayView<T> SubView(int index, int subViewLength, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        SubView((long)index, subViewLength, file, line);

    /// <summary>Some elements.</summary>
    /// <param name="index">First element.</param>
    /// <param name="subViewLength">How many.</param>
    /// <param name="file">Filled in by the compiler.</param>
    /// <param name="line">Filled in by the compiler.</param>
    /// <exception cref="ArgumentOutOfRangeException">They leave the view, and this is not a kernel; in one it is a fault.</exception>
    public ArrayView<T> SubView(long index, long subViewLength, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        if (index >= 0 && subViewLength >= 0 && index <= Length - subViewLength)
        {
            return new ArrayView<T>(_region, ByteOffset + (index * ElementSize), subViewLength);
        }

        string message = $"SubView of {subViewLength} elements from {index}, but the view has {Length}";
        if (!SimulatedThread.IsRunning)
        {
            throw new ArgumentOutOfRangeException(nameof(index), index, message + ".");
        }

        SimulatedThread.Current.ReportBounds(Region, message, file, line);
        long first = Math.Clamp(index, 0, Length);
        return new ArrayView<T>(_region, ByteOffset + (first * ElementSize), Math.Clamp(subViewLength, 0, Length - first));
    }

    /// <summary>The same bytes as elements of another type; what does not fill a whole element at the end is left out.</summary>
    /// <typeparam name="TOther">The other type.</typeparam>
    public ArrayView<TOther> Cast<TOther>()
        where TOther : unmanaged => new(_region, ByteOffset, LengthInBytes / Unsafe.SizeOf<TOther>());
}
