using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core;

/// <summary>
/// Instructions that turn a block of the codes of 32 rows round, so that four bytes of each row lie side by side. In pieces of sixteen bytes
/// of sixteen rows, so that they can stand among those of a product, which leaves the units that move data idle.
/// </summary>
/// <remarks>
/// rax walks the rows, rcx holds their distance, r10 comes and goes; vectors 16 … 21 are used. Pieces go down the rows and up again in
/// turns, so that rax is where it was after two.
/// </remarks>
/// <param name="code">Takes the instructions.</param>
/// <param name="bits">Of a code.</param>
internal readonly struct Int8Unpacking(Assembler code, int bits)
{
    private const int ChunkBytes = 16;
    private const int VectorRows = 16;

    private static readonly AssemblerRegisterZMM[] Quarters = [zmm16, zmm17, zmm18, zmm19];
    private static readonly AssemblerRegisterXMM[] First = [xmm16, xmm17, xmm18, xmm19];

    /// <summary>Pieces of sixteen bytes of a block of a row.</summary>
    private int Chunks => PackedRows.Block * bits / 8 / ChunkBytes;

    /// <summary>Pieces of a block.</summary>
    public int Pieces => Int8Tiles.Vectors * Chunks;

    /// <summary>Emits a piece.</summary>
    /// <param name="piece">0 … <see cref="Pieces"/> − 1, in this order.</param>
    /// <param name="target">Bytes from rdx to the block of the panel.</param>
    public void Piece(int piece, int target)
    {
        (int vector, int chunk) = Math.DivRem(piece, Chunks);
        Load(chunk);

        // Quarter q of vector i holds four words of row 4q + i: what is left is to turn each four by four.
        code.vpunpckldq(zmm20, zmm16, zmm17);
        code.vpunpckhdq(zmm21, zmm16, zmm17);
        code.vpunpckldq(zmm16, zmm18, zmm19);
        code.vpunpckhdq(zmm17, zmm18, zmm19);
        code.vpunpcklqdq(zmm18, zmm20, zmm16);
        code.vpunpckhqdq(zmm19, zmm20, zmm16);
        code.vpunpcklqdq(zmm20, zmm21, zmm17);
        code.vpunpckhqdq(zmm21, zmm21, zmm17);
        AssemblerRegisterZMM[] steps = [zmm18, zmm19, zmm20, zmm21];
        for (int step = 0; step < steps.Length; step++)
        {
            code.vmovdqu64(__zmmword_ptr[rdx + target + Int8Tiles.PanelOffset((4 * chunk) + step, vector)], steps[step]);
        }

        if (chunk == Chunks - 1)
        {
            Advance(vector);
        }
    }

    private void Load(int chunk)
    {
        int at = chunk * ChunkBytes;
        bool goesUp = chunk % 2 != 0;
        for (int n = 0; n < Quarters.Length; n++)
        {
            int i = goesUp ? Quarters.Length - 1 - n : n;
            code.lea(r10, __[rax + (rcx * 4)]);
            code.vmovdqu32(First[i], __xmmword_ptr[rax + at]);
            code.vinserti32x4(Quarters[i], Quarters[i], __xmmword_ptr[r10 + at], 1);
            code.vinserti32x4(Quarters[i], Quarters[i], __xmmword_ptr[rax + (rcx * 8) + at], 2);
            code.vinserti32x4(Quarters[i], Quarters[i], __xmmword_ptr[r10 + (rcx * 8) + at], 3);
            if (n < Quarters.Length - 1)
            {
                Step(goesUp);
            }
        }
    }

    private void Step(bool goesUp)
    {
        if (goesUp)
        {
            code.sub(rax, rcx);
        }
        else
        {
            code.add(rax, rcx);
        }
    }

    /// <summary>To the other sixteen rows, or back to the first and on to the next block.</summary>
    private void Advance(int vector)
    {
        code.mov(r10, rcx);
        code.shl(r10, (byte)System.Numerics.BitOperations.Log2(VectorRows));
        if (vector < Int8Tiles.Vectors - 1)
        {
            code.add(rax, r10);
        }
        else
        {
            code.sub(rax, r10);
            code.add(rax, Chunks * ChunkBytes);
        }
    }
}
