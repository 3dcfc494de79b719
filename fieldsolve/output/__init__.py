"""What leaves the program: folders that are whole or not there, tables, the numbers of JSON, and how pictures look.

Knows no theory: what is in a folder, a table or a picture is decided by the wing whose results they are.
"""
