using Iced.Intel;

namespace PureQLora.Core.Tests;

internal sealed unsafe partial class CodeInterpreter
{
    private const int Tiles = 8;
    private const int MostRows = 16;
    private const int MostRowBytes = 64;

    private readonly byte[] _tiles = new byte[Tiles * MostRows * MostRowBytes];
    private readonly int[] _tileRows = new int[Tiles];
    private readonly int[] _tileRowBytes = new int[Tiles];
    private bool _configured;

    private bool TryTile(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Ldtilecfg:
                Configure(instruction, new ReadOnlySpan<byte>(At(instruction, Address(instruction), 64, write: false), 64));
                return true;
            case Mnemonic.Tilerelease:
                _configured = false;
                Array.Clear(_tiles);
                return true;
            case Mnemonic.Tilezero:
                Tile(instruction, instruction.Op0Register).Clear();
                return true;
            case Mnemonic.Tileloadd or Mnemonic.Tileloaddt1:
                Transfer(instruction, instruction.Op0Register, store: false);
                return true;
            case Mnemonic.Tilestored:
                Transfer(instruction, instruction.Op1Register, store: true);
                return true;
            case Mnemonic.Tdpbf16ps:
                MultiplyTiles(instruction, integers: false);
                return true;
            case Mnemonic.Tdpbssd:
                MultiplyTiles(instruction, integers: true);
                return true;
            default:
                return false;
        }
    }

    private void Configure(in Instruction instruction, ReadOnlySpan<byte> configuration)
    {
        Check(configuration[0] == 1, $"'{instruction}' loads palette {configuration[0]}.");
        Check(configuration[1..16].IndexOfAnyExcept((byte)0) < 0, $"'{instruction}' loads a configuration whose reserved bytes are set.");
        for (int i = 0; i < 16; i++)
        {
            (int rowBytes, int rows) = (BitConverter.ToUInt16(configuration[(16 + (2 * i))..]), configuration[48 + i]);
            Check(rowBytes <= MostRowBytes && rows <= MostRows && (rows == 0) == (rowBytes == 0), $"'{instruction}' loads {rows} rows of {rowBytes} bytes.");
            Check(i < Tiles || rows == 0, $"'{instruction}' loads a shape of tmm{i}.");
            if (i < Tiles)
            {
                (_tileRows[i], _tileRowBytes[i]) = (rows, rowBytes);
            }
        }

        _configured = true;
        Array.Clear(_tiles);
    }

    /// <summary>All of a tile register; rows and bytes beyond its shape are always zero.</summary>
    private Span<byte> Tile(in Instruction instruction, Register register)
    {
        Check(_configured && _tileRows[register - Register.TMM0] > 0, $"'{instruction}' uses a tile that was not configured.");
        return _tiles.AsSpan((register - Register.TMM0) * MostRows * MostRowBytes, MostRows * MostRowBytes);
    }

    private void Transfer(in Instruction instruction, Register register, bool store)
    {
        Check(instruction.MemoryIndex != Register.None, $"'{instruction}' has no stride.");
        Span<byte> tile = Tile(instruction, register);
        (int rows, int rowBytes) = (_tileRows[register - Register.TMM0], _tileRowBytes[register - Register.TMM0]);
        if (!store)
        {
            tile.Clear();
        }

        for (int row = 0; row < rows; row++)
        {
            ulong address = Address(instruction, withIndex: false) + ((ulong)row * Index(instruction));
            Span<byte> memory = new(At(instruction, address, rowBytes, store), rowBytes);
            Span<byte> inTile = tile.Slice(row * MostRowBytes, rowBytes);
            if (store)
            {
                inTile.CopyTo(memory);
            }
            else
            {
                memory.CopyTo(inTile);
            }
        }
    }

    private void MultiplyTiles(in Instruction instruction, bool integers)
    {
        (Register target, Register left, Register right) = (instruction.Op0Register, instruction.Op1Register, instruction.Op2Register);
        Check(target != left && target != right && left != right, $"'{instruction}' names a tile twice.");
        Span<uint> sums = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(Tile(instruction, target));
        Span<uint> a = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(Tile(instruction, left));
        Span<uint> b = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(Tile(instruction, right));
        int rows = _tileRows[target - Register.TMM0];
        int columns = _tileRowBytes[target - Register.TMM0] / 4;
        int inner = _tileRows[right - Register.TMM0];
        Check(
            _tileRows[left - Register.TMM0] == rows && _tileRowBytes[left - Register.TMM0] == 4 * inner && _tileRowBytes[right - Register.TMM0] == 4 * columns,
            $"'{instruction}' multiplies tiles whose shapes do not fit.");
        const int RowLength = MostRowBytes / 4;
        for (int m = 0; m < rows; m++)
        {
            for (int n = 0; n < columns; n++)
            {
                ref uint sum = ref sums[(m * RowLength) + n];
                sum = integers
                    ? SumOfBytes(sum, a[(m * RowLength)..], b[n..], inner)
                    : SumOfPairs(sum, a[(m * RowLength)..], b[n..], inner);
            }
        }
    }

    /// <summary>TDPBF16PS: even and odd elements are summed apart, then added to each other, then to the old value.</summary>
    private static uint SumOfPairs(uint sum, ReadOnlySpan<uint> row, ReadOnlySpan<uint> column, int inner)
    {
        (float even, float odd) = (0f, 0f);
        for (int k = 0; k < inner; k++)
        {
            (uint a, uint b) = (row[k], column[k * (MostRowBytes / 4)]);
            even = MultiplyAddFlushed(a & 0xFFFF, b & 0xFFFF, even);
            odd = MultiplyAddFlushed(a >> 16, b >> 16, odd);
        }

        return Bits(FlushSubnormal(FlushSubnormal(Float(sum)) + FlushSubnormal(even + odd)));
    }

    /// <summary>TDPBSSD: signed bytes, four at a time; exact.</summary>
    private static uint SumOfBytes(uint sum, ReadOnlySpan<uint> row, ReadOnlySpan<uint> column, int inner)
    {
        for (int k = 0; k < inner; k++)
        {
            (uint a, uint b) = (row[k], column[k * (MostRowBytes / 4)]);
            for (int i = 0; i < 32; i += 8)
            {
                sum += (uint)((sbyte)(byte)(a >> i) * (sbyte)(byte)(b >> i));
            }
        }

        return sum;
    }
}
