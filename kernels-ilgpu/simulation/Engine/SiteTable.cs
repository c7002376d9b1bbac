namespace PureQLora.Kernels.Simulation.Engine;

/// <summary>Numbers for places in the source.</summary>
internal sealed class SiteTable
{
    private const int RecentCount = 256;

    private readonly Dictionary<(string File, int Line), int> _numbers = [];
    private readonly List<(string File, int Line)> _sites = [];
    private readonly (string File, int Line, int Number)[] _recent = new (string, int, int)[RecentCount];

    /// <summary>The number of a place. Every access asks for it, so the last places are looked up without looking into the file's name.</summary>
    public int NumberOf(string file, int line)
    {
        ref (string File, int Line, int Number) recent = ref _recent[line % RecentCount];
        if (recent.Line != line || !ReferenceEquals(recent.File, file))
        {
            recent = (file, line, Find(file, line));
        }

        return recent.Number;
    }

    /// <summary>A place in words: file name and line.</summary>
    public string Describe(int number) => $"{FileName(number)}:{_sites[number].Line}";

    /// <summary>The file of a place, without its folder.</summary>
    public string FileName(int number) => Path.GetFileName(_sites[number].File);

    /// <summary>The line of a place.</summary>
    public int Line(int number) => _sites[number].Line;

    private int Find(string file, int line)
    {
        if (!_numbers.TryGetValue((file, line), out int number))
        {
            number = _sites.Count;
            _sites.Add((file, line));
            _numbers.Add((file, line), number);
        }

        return number;
    }
}
