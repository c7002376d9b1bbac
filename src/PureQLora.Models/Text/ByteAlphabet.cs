namespace PureQLora.Models;

/// <summary>The printable character that stands for each byte in byte-level vocabularies.</summary>
/// <remarks>
/// GPT-2 (Radford et al. 2019): the printable Latin-1 bytes stand for themselves, the others, in order, for U+0100, U+0101 and so on.
/// </remarks>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = MakeCharacters();
    private static readonly short[] Bytes = MakeBytes();

    /// <summary>Character of a byte.</summary>
    public static char ToCharacter(byte value) => Characters[value];

    /// <summary>Byte of a character, or −1 for a character outside the alphabet.</summary>
    public static int ToByte(char character) => character < Bytes.Length ? Bytes[character] : -1;

    private static char[] MakeCharacters()
    {
        char[] characters = new char[256];
        char next = '\u0100';
        for (int value = 0; value < 256; value++)
        {
            bool printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[value] = printable ? (char)value : next++;
        }

        return characters;
    }

    private static short[] MakeBytes()
    {
        short[] bytes = new short[512];
        Array.Fill(bytes, (short)-1);
        for (int value = 0; value < 256; value++)
        {
            bytes[Characters[value]] = (short)value;
        }

        return bytes;
    }
}
