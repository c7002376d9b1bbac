namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>Numbers for places in the source.</summary>
internal sealed class SiteTable
{
    private readonly Dictionary<(string File, int Line), int> _numbers = new(ByReference.Instance);
    private readonly List<(string File, int Line)> _sites = [];

    /// <summary>The number of a place.</summary>
    public int NumberOf(string file, int line)
    {
        if (!_numbers.TryGetValue((file, line), out int number))
        {
            number = _sites.Count;
            _sites.Add((file, line));
            _numbers.Add((file, line), number);
        }

        return number;
    }

    /// <summary>A place in words: file name and line.</summary>
    public string Describe(int number) => $"{FileName(number)}:{_sites[number].Line}";

    /// <summary>The file of a place, without its folder.</summary>
    public string FileName(int number) => Path.GetFileName(_sites[number].File);

    /// <summary>The line of a place.</summary>
    public int Line(int number) => _sites[number].Line;

    /// <summary>The compiler gives every use of a file's name the same string, so there is no need to look into it at every access.</summary>
    private sealed class ByReference : IEqualityComparer<(string File, int Line)>
    {
        public static readonly ByReference Instance = new();

        public bool Equals((string File, int Line) x, (string File, int Line) y) => x.Line == y.Line && (ReferenceEquals(x.File, y.File) || x.File == y.File);

        public int GetHashCode((string File, int Line) obj) => (obj.Line * 31) + obj.File.Length;
    }
}
