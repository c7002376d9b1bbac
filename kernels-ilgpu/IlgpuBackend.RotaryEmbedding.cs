using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IRotaryEmbeddingKernels
{
    private readonly ConditionalWeakTable<RotaryTable, DeviceMemory> _rotaryTables = [];

    /// <inheritdoc/>
    public void RotaryEmbeddingForward(Tensor x, Tensor positions, RotaryTable table, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(positions);
        ArgumentNullException.ThrowIfNull(table);
        CheckPositions(positions, table.Positions);
        Turn(x, positions, table, 1f, new GradientTarget(y, Accumulate: false));
    }

    /// <inheritdoc/>
    public void RotaryEmbeddingBackward(Tensor dy, Tensor positions, RotaryTable table, GradientTarget dx)
    {
        ArgumentNullException.ThrowIfNull(table);
        Turn(dy, positions, table, -1f, dx);
    }

    private static void CheckPositions(Tensor positions, long limit)
    {
        ReadOnlySpan<int> values = ReadInts(positions);
        int token = values.IndexOfAnyExceptInRange(0, (int)Math.Min(int.MaxValue, limit - 1));
        if (token >= 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(positions), values[token], $"Token {token} has position {values[token]}, the rotary table allows 0–{limit - 1}; make a longer table or shorten the sequence.");
        }
    }

    private void Turn(Tensor x, Tensor positions, RotaryTable table, float direction, GradientTarget target)
    {
        int pairs = Count(x) / 2;
        int half = (int)(table.HeadDim / 2);
        long angles = table.Cos.Shape.Count;
        DeviceMemory device = DeviceTable(table);
        ArrayView<float> source = Floats(x);
        (int mode, ArrayView<float> y) = Target(target, source);
        _device.Launch(
            RotaryEmbeddingKernels.Turn,
            LaunchShape.For(pairs, RotaryEmbeddingKernels.Turn.GroupSize),
            new RotaryEmbeddingKernels.TurnArguments(
                source, Ints(positions), device.View<float>(0, angles), device.View<float>(angles * sizeof(float), angles), (int)x.Shape[2], half, pairs, direction, mode, y));
    }

    /// <summary>Cosines, then sines; uploaded once and kept as long as the table.</summary>
    private DeviceMemory DeviceTable(RotaryTable table)
    {
        if (!_rotaryTables.TryGetValue(table, out DeviceMemory? memory))
        {
            memory = _device.Allocate(2 * table.Cos.ByteLength);
            memory.Write(0, MemoryMarshal.AsBytes(table.Cos.Floats));
            memory.Write(table.Cos.ByteLength, MemoryMarshal.AsBytes(table.Sin.Floats));
            _rotaryTables.Add(table, memory);
        }

        return memory;
    }
}
