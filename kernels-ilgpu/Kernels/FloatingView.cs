using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>Numbers of any floating type, read as floats.</summary>
/// <param name="Singles">The numbers if the type is Float32, else a stand-in.</param>
/// <param name="Halves">The numbers if it is another, else a stand-in.</param>
/// <param name="Type">A <see cref="DataType"/>.</param>
public readonly record struct FloatingView(ArrayView<float> Singles, ArrayView<ushort> Halves, int Type)
{
    /// <summary>One number.</summary>
    public float Read(int index)
    {
        float value;
        if (Type == (int)DataType.Float32)
        {
            value = Singles[index];
        }
        else
        {
            uint bits = Halves[index];
            value = Type == (int)DataType.BFloat16 ? Interop.IntAsFloat(bits << 16) : OfFloat16(bits);
        }

        return value;
    }

    /// <summary>The exponent is moved by a multiplication, which makes subnormal numbers right too.</summary>
    private static float OfFloat16(uint bits)
    {
        uint magnitude = (bits & 0x7FFFu) << 13;
        uint scaled = Interop.FloatAsInt(Interop.IntAsFloat(magnitude) * Interop.IntAsFloat(0x77800000u));
        uint finite = (bits & 0x7C00u) == 0x7C00u ? magnitude | 0x7F800000u : scaled;
        return Interop.IntAsFloat(finite | ((bits & 0x8000u) << 16));
    }
}
