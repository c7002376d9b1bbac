using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>Vectors by which kernels take packed codes of up to 4 bits apart, a cache line each.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CodeConstants
{
    /// <summary>What a code of 0 … 15 is worth before the zero point: the book's level, or itself, repeated for fewer than 4 bits.</summary>
    public fixed float Values[16];

    /// <summary>The lowest four bits of each word.</summary>
    public fixed ushort Mask[32];

    /// <summary>Where the values of a word's part begin in the table.</summary>
    public fixed ushort Parts[32];

    /// <summary>3 bits: the double words that hold each quarter's twelve bytes.</summary>
    public fixed uint Quarters[16];

    /// <summary>3 bits: the bytes of each word, in its quarter.</summary>
    public fixed byte Bytes[64];

    /// <summary>3 bits: how far up each word's codes begin.</summary>
    public fixed ushort Shifts[32];

    /// <summary>Fills in the vectors.</summary>
    /// <param name="levels">Sixteen values by code.</param>
    /// <param name="parts">Pieces of a block that may lie in groups of their own.</param>
    public void Set(float* levels, int parts)
    {
        for (int i = 0; i < 16; i++)
        {
            Values[i] = levels[i];
            Quarters[i] = (uint)((i / 4 * 3) + Math.Min(i % 4, 2));
        }

        for (int word = 0; word < 32; word++)
        {
            Mask[word] = 15;
            Parts[word] = (ushort)(word * parts / 32 * 16);

            // Two words share three bytes; the second starts in the middle of one.
            int first = (word % 8 / 2 * 3) + (word & 1);
            (Bytes[2 * word], Bytes[(2 * word) + 1]) = ((byte)first, (byte)(first + 1));
            Shifts[word] = (ushort)(4 * (word & 1));
        }
    }

    /// <summary>Offset of a field.</summary>
    public static int Offset(string field) => (int)Marshal.OffsetOf<CodeConstants>(field);
}
